//! A name server on loopback that knows what a test tells it.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{Arc, Mutex},
    thread,
};

use hickory_resolver::proto::{
    op::{Message, MessageType, ResponseCode},
    rr::{RData, Record, RecordType},
};

/// The addresses of a name and their time to live in seconds; a name without them has an error.
type Zone = Arc<Mutex<HashMap<String, Option<(Vec<IpAddr>, u32)>>>>;

pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    zone: Zone,
    asked: Arc<Mutex<Vec<String>>>,
}

impl NameServer {
    pub(crate) fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let server = Self { address: socket.local_addr().unwrap(), zone: Zone::default(), asked: Arc::default() };
        let (zone, asked) = (Arc::clone(&server.zone), Arc::clone(&server.asked));
        thread::spawn(move || {
            let mut datagram = [0; 1500];
            while let Ok((length, client)) = socket.recv_from(&mut datagram) {
                let answer = answer(&datagram[..length], &zone, &asked);
                socket.send_to(&answer, client).unwrap();
            }
        });
        server
    }

    pub(crate) fn knows(&self, name: &str, addresses: &[&str], ttl: u32) {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        self.zone.lock().unwrap().insert(name.to_owned(), Some((addresses, ttl)));
    }

    /// From now on, questions for the name fail.
    pub(crate) fn fails(&self, name: &str) {
        self.zone.lock().unwrap().insert(name.to_owned(), None);
    }

    /// The names that were asked for, each once.
    pub(crate) fn asked(&self) -> Vec<String> {
        let mut asked = self.asked.lock().unwrap().clone();
        asked.sort();
        asked.dedup();
        asked
    }
}

fn answer(question: &[u8], zone: &Zone, asked: &Mutex<Vec<String>>) -> Vec<u8> {
    let mut message = Message::from_vec(question).unwrap();
    let query = message.queries[0].clone();
    let name = query.name().to_string().to_lowercase();
    let known = zone.lock().unwrap().get(name.trim_end_matches('.')).cloned();
    asked.lock().unwrap().push(name);
    message.metadata.message_type = MessageType::Response;
    message.metadata.response_code = match known {
        Some(Some(_)) => ResponseCode::NoError,
        Some(None) => ResponseCode::ServFail,
        None => ResponseCode::NXDomain,
    };
    let (addresses, ttl) = known.flatten().unwrap_or_default();
    for address in addresses {
        let data = match address {
            IpAddr::V4(address) => RData::A(address.into()),
            IpAddr::V6(address) => RData::AAAA(address.into()),
        };
        let is_wanted = data.record_type() == query.query_type() && query.query_type() != RecordType::ANY;
        if is_wanted {
            message.answers.push(Record::from_rdata(query.name().clone(), ttl, data));
        }
    }
    message.to_vec().unwrap()
}

//! TCP 5061, the port of SIP over TLS, opened by the provider and by the SBC.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener},
    thread,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use lab::{Host, Lab};

use super::Scene;
use crate::demo::{
    flow::{ANY, Fate, Flow, Protocol},
    network::{SBC, ipv4},
    sockets::{connect, listen},
};

const PROVIDER: IpAddr = ipv4(52, 4, 142, 107);
const PORT: u16 = 5061;

/// Messages in each direction of each connection.
const EXCHANGES: usize = 20;

pub(super) fn scene() -> Scene {
    let flow = |title, source_ports, ports| {
        let fate = Fate::Listed("kore/sip-tls");
        Flow { title, source: PROVIDER.into(), protocol: Protocol::Tcp, source_ports, ports, fate }
    };
    let opened_there = flow("TCP 5061 opened by Kore.ai", ANY, PORT..=PORT);
    let opened_here = flow("TCP 5061 opened by the SBC, answers", PORT..=PORT, ANY);
    Scene { flows: vec![opened_there, opened_here], play }
}

fn play(lab: &Lab) -> Result<String> {
    let (sbc, provider) = (lab.host("sbc")?, lab.host("kore")?);
    converse((provider, PROVIDER), (sbc, SBC)).context("the provider's connection")?;
    converse((sbc, SBC), (provider, PROVIDER)).context("the SBC's connection")?;
    Ok(format!("{EXCHANGES} messages went each way on TCP 5061, whoever opened the connection"))
}

/// Exchanges messages over a connection that the first opens to the second.
fn converse(client: (&Host, IpAddr), server: (&Host, IpAddr)) -> Result<()> {
    let listener = listen(server.0, server.1, PORT)?;
    thread::scope(|scope| {
        let serving = scope.spawn(|| echo(&listener));
        let mut stream = connect(client.0, client.1, SocketAddr::new(server.1, PORT))?;
        for number in 0..EXCHANGES {
            let message = format!("OPTIONS {number:02}");
            stream.write_all(message.as_bytes())?;
            let mut answer = vec![0; message.len()];
            stream.read_exact(&mut answer)?;
            ensure!(answer == message.as_bytes(), "another answer came than the message");
        }
        drop(stream);
        serving.join().map_err(|_| anyhow!("the server panicked"))?
    })
}

/// Serves one connection to its end.
fn echo(listener: &TcpListener) -> Result<()> {
    let (mut stream, _) = listener.accept()?;
    let mut buffer = [0; 64];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            length => stream.write_all(&buffer[..length])?,
        }
    }
}

//! HTTP as a test wants it: what is sent is what the test says, octet by octet.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// How long an answer may take on a busy machine.
const LIMIT: Duration = Duration::from_mins(1);

/// An answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// Its code; 0 where the connection was closed without an answer.
    pub code: u16,
    /// Its headers, in small letters.
    pub head: String,
    /// Its body.
    pub body: String,
}

impl Answer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// Asks with GET, under the address as host.
pub fn get(address: SocketAddr, path: &str) -> Answer {
    ask(address, "GET", path, &[("host", &address.to_string())])
}

/// Asks with these headers.
pub fn ask(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    exchange(connect(address), method, path, headers)
}

/// A connection that waits for a minute at the most.
///
/// # Panics
/// If it does not open.
pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, LIMIT).expect("it listens");
    stream.set_read_timeout(Some(LIMIT)).expect("a timeout");
    stream
}

/// Asks over a connection, and reads until it is closed.
pub fn exchange(mut stream: impl Read + Write, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut text = Vec::new();
    if send(&mut stream, method, path, headers).is_ok() {
        // A connection that is refused may be reset.
        let _ = stream.read_to_end(&mut text);
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default();
    Answer { code, head: head.to_lowercase(), body: body.to_owned() }
}

/// Sends a request without waiting for the answer.
///
/// # Errors
/// If the connection is closed.
pub fn send(stream: &mut impl Write, method: &str, path: &str, headers: &[(&str, &str)]) -> std::io::Result<()> {
    let mut request = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.extend([name, ": ", value, "\r\n"]);
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes())
}

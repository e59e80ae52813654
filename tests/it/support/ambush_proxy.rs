//! A proxy before PostgreSQL that lies in wait for one kind of session and cuts it after so many bytes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Bytes forwarded at once.
const BUFFER_BYTES: usize = 16 * 1024;

/// The way of a byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// What the gateway asks.
    ToServer,
    /// What the server answers.
    ToClient,
}

struct Ambush {
    way: Way,
    bytes_left: usize,
}

#[derive(Default)]
struct State {
    ambush: Option<Ambush>,
    cuts: usize,
    /// Bytes of the wanted sessions, to the server and to the client.
    forwarded: [usize; 2],
}

/// A proxy on a port of 127.0.0.1. It ends when it is dropped; its connections end with their server.
pub struct AmbushProxy {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl AmbushProxy {
    /// A proxy to this port. It knows sessions of the wanted kind by their `application_name`.
    pub fn to(port: u16, application_name: &'static str) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<Mutex<State>>::default();
        let accept = accept(TcpListener::from_std(listener).unwrap(), port, application_name, Arc::clone(&state));
        Self { address, state, task: tokio::spawn(accept) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on lets this many more bytes through that way, then cuts the session, once.
    pub fn cut_after(&self, way: Way, bytes: usize) {
        self.state.lock().unwrap().ambush = Some(Ambush { way, bytes_left: bytes });
    }

    /// How many bytes of the wanted sessions went to the server, and to the client.
    pub fn forwarded(&self) -> [usize; 2] {
        self.state.lock().unwrap().forwarded
    }

    /// How many sessions were cut.
    pub fn cuts(&self) -> usize {
        self.state.lock().unwrap().cuts
    }
}

impl Drop for AmbushProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, port: u16, wanted: &'static str, state: Arc<Mutex<State>>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { return };
        tokio::spawn(serve(client, port, wanted, Arc::clone(&state)));
    }
}

async fn serve(mut client: TcpStream, port: u16, wanted: &'static str, state: Arc<Mutex<State>>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    // The first message names the session, as neither TLS nor GSS is asked for.
    let mut greeting = vec![0; BUFFER_BYTES];
    let Ok(count @ 1..) = client.read(&mut greeting).await else { return };
    let is_wanted = greeting[..count].windows(wanted.len()).any(|part| part == wanted.as_bytes());
    if server.write_all(&greeting[..count]).await.is_err() {
        return;
    }
    if !is_wanted {
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        return;
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = forward(from_client, to_server, Way::ToServer, &state) => {}
        () = forward(from_server, to_client, Way::ToClient, &state) => {}
    }
}

async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, way: Way, state: &Mutex<State>) {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else { return };
        let through = let_through(state, way, count);
        if to.write_all(&buffer[..through]).await.is_err() || through < count {
            return;
        }
    }
}

/// How many of `count` bytes go through.
fn let_through(state: &Mutex<State>, way: Way, count: usize) -> usize {
    let mut state = state.lock().unwrap();
    state.forwarded[way as usize] += count;
    let Some(ambush) = state.ambush.as_mut().filter(|ambush| ambush.way == way) else { return count };
    if ambush.bytes_left >= count {
        ambush.bytes_left -= count;
        return count;
    }
    let through = ambush.bytes_left;
    state.ambush = None;
    state.cuts += 1;
    through
}

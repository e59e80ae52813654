//! A proxy between the gateway and a server, which can cut connections, or hold them open and let nothing through.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Bytes forwarded at once.
const BUFFER_BYTES: usize = 16 * 1024;

/// Where a proxy leads.
#[derive(Clone)]
pub enum ProxyTarget {
    Tcp(SocketAddr),
    Socket(PathBuf),
}

impl From<SocketAddr> for ProxyTarget {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl From<PathBuf> for ProxyTarget {
    fn from(path: PathBuf) -> Self {
        Self::Socket(path)
    }
}

#[derive(Clone, Copy, Default)]
struct Weather {
    /// Nothing goes through.
    hangs: bool,
    /// New connections end at once.
    refuses: bool,
    /// How often all connections were cut: each knows how many it has seen.
    cuts: u64,
}

/// A proxy on a port of 127.0.0.1. It ends when it is dropped.
pub struct ChaosProxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    task: JoinHandle<()>,
}

impl ChaosProxy {
    /// A proxy to an address or the path of a Unix socket. Must be made within a Tokio runtime.
    pub fn to(target: impl Into<ProxyTarget>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (weather, sky) = watch::channel(Weather::default());
        let task = tokio::spawn(accept(TcpListener::from_std(listener).unwrap(), target.into(), sky));
        Self { address, weather, task }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends all connections, and every new one at once, until it is told to go on.
    pub fn cut(&self) {
        self.weather.send_modify(|weather| *weather = Weather { refuses: true, cuts: weather.cuts + 1, ..*weather });
    }

    /// Holds all connections open, new ones too, and lets nothing through until it is told to go on.
    pub fn hang(&self) {
        self.weather.send_modify(|weather| weather.hangs = true);
    }

    /// Lets everything through again. What was held back arrives.
    pub fn go_on(&self) {
        self.weather.send_modify(|weather| *weather = Weather { cuts: weather.cuts, ..Weather::default() });
    }
}

impl Drop for ChaosProxy {
    fn drop(&mut self) {
        self.task.abort();
        // The connections have tasks of their own.
        self.cut();
    }
}

async fn accept(listener: TcpListener, target: ProxyTarget, sky: watch::Receiver<Weather>) {
    loop {
        let Ok((client, _)) = listener.accept().await else { return };
        if !sky.borrow().refuses {
            tokio::spawn(serve(client, target.clone(), sky.clone()));
        }
    }
}

async fn serve(client: TcpStream, target: ProxyTarget, sky: watch::Receiver<Weather>) {
    let cuts = sky.borrow().cuts;
    let _ = client.set_nodelay(true);
    match target {
        ProxyTarget::Tcp(address) => {
            let Ok(server) = TcpStream::connect(address).await else { return };
            let _ = server.set_nodelay(true);
            join(client.into_split(), server.into_split(), sky, cuts).await;
        }
        ProxyTarget::Socket(path) => {
            let Ok(server) = UnixStream::connect(path).await else { return };
            join(client.into_split(), server.into_split(), sky, cuts).await;
        }
    }
}

/// Forwards both ways until one side ends.
async fn join(
    client: (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    server: (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    sky: watch::Receiver<Weather>,
    cuts: u64,
) {
    tokio::select! {
        () = forward(client.0, server.1, sky.clone(), cuts) => {}
        () = forward(server.0, client.1, sky, cuts) => {}
    }
}

async fn forward(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut sky: watch::Receiver<Weather>,
    cuts: u64,
) {
    let mut cut = sky.clone();
    let carry = async {
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let Ok(count @ 1..) = from.read(&mut buffer).await else { return };
            if sky.wait_for(|weather| !weather.hangs).await.is_err() {
                return;
            }
            if to.write_all(&buffer[..count]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = carry => {}
        _ = cut.wait_for(|weather| weather.cuts != cuts) => {}
    }
}

//! Making connections: to one server, to the master that Sentinels name, to a Cluster.
//!
//! Everything has a time limit here, because the library's own are long or missing: a Cluster's retries would wait for
//! minutes.

use std::sync::Once;
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::TcpSettings;
use redis::io::tcp::socket2::TcpKeepalive;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, Pipeline,
    RedisConnectionInfo, RedisFuture, RedisResult, Value,
};
use tokio::task::JoinSet;

use super::failure::Failure;
use crate::config::fast_url::{HostPort, Login, RedisPlace, RedisTarget};

/// Longest time a connection may take to be made and to answer its first questions.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// The same for one node of a Cluster, twice of which must fit into the whole: the first nodes, then those they name.
const NODE_CONNECT_TIMEOUT: Duration = Duration::from_millis(400);
/// Longest time a Sentinel may take to be connected to and to answer.
const SENTINEL_TIMEOUT: Duration = Duration::from_millis(400);
/// Every call has a shorter limit of its own; this one only clears up behind them.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
/// A silent connection is asked for a sign of life after this time, and then as often.
const KEEPALIVE: Duration = Duration::from_secs(5);
/// What was sent and is not confirmed for this long ends the connection.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(5);
/// Commands that may wait to be written to a connection.
const PIPELINE_BUFFER: usize = 1_024;
/// Times that a Cluster's client follows a key to another node, or waits for it, within the time limit of the call.
const CLUSTER_RETRIES: u32 = 4;
/// Shortest and longest wait between them, milliseconds.
const CLUSTER_RETRY_WAIT_MS: (u64, u64) = (4, 32);

/// A connection of either kind. Clones share it.
#[derive(Clone)]
pub(super) enum LinkConnection {
    /// To one server.
    Server(MultiplexedConnection),
    /// To all nodes of a Cluster.
    Cluster(ClusterConnection),
}

impl ConnectionLike for LinkConnection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Server(connection) => connection.req_packed_command(cmd),
            Self::Cluster(connection) => connection.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Server(connection) => connection.req_packed_commands(pipeline, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Server(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

/// Knows where Redis is and makes connections to it.
pub(super) struct Connector {
    target: RedisTarget,
    /// Longest time one answer of a Cluster's node may take, redirections included.
    timeout: Duration,
}

impl Connector {
    pub(super) fn new(target: RedisTarget, timeout: Duration) -> Self {
        if target.tls {
            install_crypto();
        }
        Self { target, timeout }
    }

    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.target.place, RedisPlace::Cluster { .. })
    }

    /// Makes a connection, and says which master it leads to when a Sentinel named it. Takes no longer than
    /// [`CONNECT_TIMEOUT`].
    pub(super) async fn connect(&self) -> Result<(LinkConnection, Option<HostPort>), Failure> {
        let connect = async {
            match &self.target.place {
                RedisPlace::Server(server) => Ok((self.connect_to(self.address(server)).await?, None)),
                RedisPlace::Socket(path) => Ok((self.connect_to(ConnectionAddr::Unix(path.clone())).await?, None)),
                RedisPlace::Sentinel { sentinels, service, login } => {
                    let master = self.find_master(sentinels, service, login).await?;
                    Ok((self.connect_to(self.address(&master)).await?, Some(master)))
                }
                RedisPlace::Cluster { nodes } => Ok((self.connect_to_cluster(nodes).await?, None)),
            }
        };
        tokio::time::timeout(CONNECT_TIMEOUT, connect).await.unwrap_or(Err(Failure::TimedOut))
    }

    /// The master that the Sentinels name now; none without Sentinels.
    pub(super) async fn named_master(&self) -> Option<HostPort> {
        let RedisPlace::Sentinel { sentinels, service, login } = &self.target.place else { return None };
        self.find_master(sentinels, service, login).await.ok()
    }

    async fn connect_to(&self, address: ConnectionAddr) -> Result<LinkConnection, Failure> {
        let info = info(address, &self.target.login, self.target.database).map_err(|error| Failure::of(&error))?;
        let connection = open(info, CONNECT_TIMEOUT).await.map_err(|error| Failure::of(&error))?;
        Ok(LinkConnection::Server(connection))
    }

    async fn connect_to_cluster(&self, nodes: &[HostPort]) -> Result<LinkConnection, Failure> {
        let connect = async {
            let nodes: Vec<ConnectionInfo> = nodes
                .iter()
                .map(|node| info(self.address(node), &self.target.login, self.target.database))
                .collect::<RedisResult<_>>()?;
            let client = ClusterClientBuilder::new(nodes)
                .retries(CLUSTER_RETRIES)
                .min_retry_wait(CLUSTER_RETRY_WAIT_MS.0)
                .max_retry_wait(CLUSTER_RETRY_WAIT_MS.1)
                .connection_timeout(NODE_CONNECT_TIMEOUT)
                .response_timeout(self.timeout)
                .overall_response_timeout(Some(self.timeout))
                .tcp_settings(tcp_settings())
                .build()?;
            client.get_async_connection().await
        };
        match connect.await {
            Ok(connection) => Ok(LinkConnection::Cluster(connection)),
            Err(error) => Err(self.look_closer(nodes, Failure::of(&error)).await),
        }
    }

    /// A Cluster's client says only that it got nowhere. One of the nodes may tell more: a wrong password, a wrong
    /// certificate.
    async fn look_closer(&self, nodes: &[HostPort], failure: Failure) -> Failure {
        if failure != Failure::Disconnected {
            return failure;
        }
        for node in nodes {
            match self.connect_to(self.address(node)).await {
                Ok(_) | Err(Failure::Disconnected | Failure::TimedOut) => {}
                Err(closer) => return closer,
            }
        }
        failure
    }

    /// Asks all Sentinels at once. The master is whom most of them name: one that was cut off for a while may still name
    /// the old one.
    async fn find_master(&self, sentinels: &[HostPort], service: &str, login: &Login) -> Result<HostPort, Failure> {
        let mut asked = JoinSet::new();
        for sentinel in sentinels {
            let (address, service, login) = (self.address(sentinel), service.to_owned(), login.clone());
            asked.spawn(async move {
                tokio::time::timeout(SENTINEL_TIMEOUT, ask_sentinel(address, &service, &login)).await.ok()?.ok()?
            });
        }
        let mut named: Vec<(HostPort, usize)> = Vec::new();
        while let Some(answer) = asked.join_next().await {
            let Ok(Some(master)) = answer else { continue };
            let votes = match named.iter_mut().find(|(other, _)| *other == master) {
                Some((_, votes)) => {
                    *votes += 1;
                    *votes
                }
                None => {
                    named.push((master.clone(), 1));
                    1
                }
            };
            if votes > sentinels.len() / 2 {
                return Ok(master);
            }
        }
        named.into_iter().max_by_key(|(_, votes)| *votes).map(|(master, _)| master).ok_or(Failure::NoMaster)
    }

    fn address(&self, HostPort { host, port }: &HostPort) -> ConnectionAddr {
        if self.target.tls {
            ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host.clone(), *port)
        }
    }
}

/// The master that one Sentinel names.
async fn ask_sentinel(address: ConnectionAddr, service: &str, login: &Login) -> RedisResult<Option<HostPort>> {
    let mut connection = open(info(address, login, 0)?, SENTINEL_TIMEOUT).await?;
    let mut command = redis::cmd("SENTINEL");
    command.arg("GET-MASTER-ADDR-BY-NAME").arg(service);
    let named: Option<(String, u16)> = command.query_async(&mut connection).await?;
    Ok(named.map(|(host, port)| HostPort { host, port }))
}

async fn open(info: ConnectionInfo, timeout: Duration) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(timeout))
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
        .set_pipeline_buffer_size(PIPELINE_BUFFER);
    Client::open(info)?.get_multiplexed_async_connection_with_config(&config).await
}

fn info(address: ConnectionAddr, login: &Login, database: i64) -> RedisResult<ConnectionInfo> {
    let mut settings = RedisConnectionInfo::default().set_db(database);
    if let Some(user) = &login.user {
        settings = settings.set_username(user);
    }
    if let Some(password) = &login.password {
        settings = settings.set_password(password);
    }
    Ok(address.into_connection_info()?.set_redis_settings(settings).set_tcp_settings(tcp_settings()))
}

fn tcp_settings() -> TcpSettings {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE);
    TcpSettings::default().set_nodelay(true).set_keepalive(keepalive).set_user_timeout(TCP_USER_TIMEOUT)
}

/// rustls takes its ciphers from a provider that the process has to name once.
fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error says that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

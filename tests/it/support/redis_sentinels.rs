//! A Redis master with two replicas, watched by three Sentinels.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use redis::cmd;

use super::redis_process::RedisNode;
use super::redis_server::{AnyRedis, texts_of};

/// The name the Sentinels know the master by.
const SERVICE: &str = "gate";
const REPLICAS: usize = 2;
const SENTINELS: usize = 3;
/// After this time without an answer a Sentinel takes the master for dead.
const DOWN_AFTER_MS: u32 = 500;
/// How long a failover may take before another is tried.
const FAILOVER_TIMEOUT_MS: u32 = 3_000;
/// How long they may take to find each other.
const AGREE_WAIT: Duration = Duration::from_secs(20);

pub struct RedisSentinels {
    servers: Mutex<Vec<RedisNode>>,
    sentinels: Vec<RedisNode>,
}

impl RedisSentinels {
    /// Starts all and waits until the Sentinels know each other and the replicas.
    pub fn start() -> Self {
        let master = start_server(None);
        let mut servers: Vec<RedisNode> = (0..REPLICAS).map(|_| start_server(Some(master.port))).collect();
        let master_port = master.port;
        servers.insert(0, master);
        let follows = |server: &RedisNode| {
            let info: String = server.ask(cmd("INFO").arg("replication"));
            info.contains("master_link_status:up")
        };
        wait("the replicas follow", || servers.iter().skip(1).all(follows));
        let sentinels: Vec<RedisNode> = (0..SENTINELS).map(|_| start_sentinel(master_port)).collect();
        let started = Self { servers: Mutex::new(servers), sentinels };
        wait("the Sentinels know all", || {
            (0..SENTINELS).all(|index| {
                let master = started.watched(index);
                master.contains(&("num-slaves".to_owned(), REPLICAS.to_string()))
                    && master.contains(&("num-other-sentinels".to_owned(), (SENTINELS - 1).to_string()))
            })
        });
        started
    }

    /// What a Sentinel knows of the master.
    fn watched(&self, sentinel: usize) -> Vec<(String, String)> {
        self.sentinels[sentinel].ask(cmd("SENTINEL").arg("MASTER").arg(SERVICE))
    }

    /// The port of the master that most Sentinels name.
    pub fn master_port(&self) -> u16 {
        let mut ports: Vec<u16> = (0..SENTINELS)
            .map(|index| {
                let port = self.watched(index).into_iter().find(|(name, _)| name == "port").unwrap().1;
                port.parse().unwrap()
            })
            .collect();
        ports.sort_unstable();
        ports[SENTINELS / 2]
    }

    /// Kills a server.
    pub fn kill(&self, port: u16) {
        self.servers.lock().unwrap().retain(|server| server.port != port);
    }

    /// Makes a server hang.
    pub fn hang(&self, port: u16) {
        self.with_server(port, RedisNode::hang);
    }

    /// Ends the hanging.
    pub fn go_on(&self, port: u16) {
        self.with_server(port, RedisNode::go_on);
    }

    /// Tells the Sentinels to make a replica the master though the master lives. Whether they do.
    pub fn try_failover(&self) -> bool {
        self.sentinels[0].try_ask::<String>(cmd("SENTINEL").arg("FAILOVER").arg(SERVICE)).is_ok()
    }

    fn with_server<T>(&self, port: u16, look: impl FnOnce(&RedisNode) -> T) -> T {
        let servers = self.servers.lock().unwrap();
        look(servers.iter().find(|server| server.port == port).expect("the server lives"))
    }
}

impl AnyRedis for RedisSentinels {
    fn url(&self) -> String {
        let sentinels: Vec<String> = self.sentinels.iter().map(RedisNode::address).collect();
        format!("redis+sentinel://{}/{SERVICE}", sentinels.join(","))
    }

    fn keys(&self, pattern: &str) -> Vec<Vec<u8>> {
        self.with_server(self.master_port(), |server| server.try_ask(cmd("KEYS").arg(pattern)).unwrap_or_default())
    }

    fn texts(&self, pattern: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.with_server(self.master_port(), |server| server.try_ask(&texts_of(pattern)).unwrap_or_default())
    }

    fn delete(&self, keys: &[Vec<u8>]) {
        let _: i64 = self.with_server(self.master_port(), |server| server.ask(cmd("DEL").arg(keys)));
    }
}

fn start_server(master_port: Option<u16>) -> RedisNode {
    RedisNode::start(
        |_, _| {},
        |directory, port, _| {
            let mut arguments = RedisNode::common_arguments(directory, port);
            arguments.extend(["--repl-diskless-sync-delay", "0"].map(str::to_owned));
            if let Some(master_port) = master_port {
                arguments.extend(["--replicaof".to_owned(), "127.0.0.1".to_owned(), master_port.to_string()]);
            }
            arguments
        },
    )
}

fn start_sentinel(master_port: u16) -> RedisNode {
    // A Sentinel writes what it learns into its configuration.
    let write_settings = |directory: &std::path::Path, port: u16| {
        let settings = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\n\
             sentinel monitor {SERVICE} 127.0.0.1 {master_port} 2\n\
             sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}\n\
             sentinel failover-timeout {SERVICE} {FAILOVER_TIMEOUT_MS}\n\
             sentinel parallel-syncs {SERVICE} 2\n",
            directory.display()
        );
        std::fs::write(directory.join("sentinel.conf"), settings).unwrap();
    };
    RedisNode::start(write_settings, |directory, _, _| {
        vec![directory.join("sentinel.conf").display().to_string(), "--sentinel".to_owned()]
    })
}

fn wait(what: &str, mut look: impl FnMut() -> bool) {
    let started = Instant::now();
    while !look() {
        assert!(started.elapsed() < AGREE_WAIT, "this did not happen: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

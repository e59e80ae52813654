//! A Redis Cluster of three masters, each with a replica.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use redis::{Cmd, cmd};

use super::redis_process::RedisNode;
use super::redis_server::{AnyRedis, texts_of};

const MASTERS: usize = 3;
const SLOTS: usize = 16_384;
/// After this time without an answer a node counts as failed.
const NODE_TIMEOUT_MS: u32 = 1_000;
/// How long the nodes may take to agree.
const AGREE_WAIT: Duration = Duration::from_secs(20);

pub struct RedisCluster {
    /// Masters first, then the replica of each. None is one that was killed.
    nodes: Mutex<Vec<Option<RedisNode>>>,
    url: String,
}

impl RedisCluster {
    /// Starts the nodes and waits until they have agreed.
    pub fn start() -> Self {
        let nodes: Vec<RedisNode> = (0..2 * MASTERS).map(|_| start_node()).collect();
        for (index, master) in nodes.iter().take(MASTERS).enumerate() {
            let (first, last) = (index * SLOTS / MASTERS, (index + 1) * SLOTS / MASTERS - 1);
            let _: String = master.ask(cluster("SET-CONFIG-EPOCH").arg(index + 1));
            let _: String = master.ask(cluster("ADDSLOTSRANGE").arg(first).arg(last));
        }
        for node in &nodes {
            for other in nodes.iter().filter(|other| other.port != node.port) {
                // The bus of the other listens on a port of its own.
                let bus: Vec<String> = other.ask(cmd("CONFIG").arg("GET").arg("cluster-port"));
                let _: String = node.ask(cluster("MEET").arg("127.0.0.1").arg(other.port).arg(&bus[1]));
            }
        }
        wait("every node knows every other", || nodes.iter().all(|node| knows(node, 2 * MASTERS)));
        let (masters, replicas) = nodes.split_at(MASTERS);
        for (master, replica) in masters.iter().zip(replicas) {
            let id: String = master.ask(&cluster("MYID"));
            wait("the replica knows its master", || replica.try_ask::<String>(cluster("REPLICATE").arg(&id)).is_ok());
        }
        wait("the replicas follow", || replicas.iter().all(|replica| info(replica).contains("master_link_status:up")));
        wait("the cluster is whole", || nodes.iter().all(|node| is_whole(node) && replicas_seen(node) == MASTERS));
        let url = format!("redis+cluster://{}", nodes.iter().map(RedisNode::address).collect::<Vec<_>>().join(","));
        Self { nodes: Mutex::new(nodes.into_iter().map(Some).collect()), url }
    }

    /// The URL of a master as if it were one server.
    pub fn node_url(&self, index: usize) -> String {
        format!("redis://{}", self.nodes.lock().unwrap()[index].as_ref().unwrap().address())
    }

    /// Kills a master.
    pub fn kill_master(&self, index: usize) {
        self.nodes.lock().unwrap()[index] = None;
    }

    /// Makes a master hang.
    pub fn hang_master(&self, index: usize) {
        self.nodes.lock().unwrap()[index].as_ref().unwrap().hang();
    }

    /// Ends the hanging.
    pub fn go_on(&self, index: usize) {
        self.nodes.lock().unwrap()[index].as_ref().unwrap().go_on();
    }

    /// Whether the replica of this master has taken over.
    pub fn has_replica_taken_over(&self, index: usize) -> bool {
        info(self.nodes.lock().unwrap()[MASTERS + index].as_ref().unwrap()).contains("role:master")
    }

    /// Asks a master.
    pub fn ask_master<T: redis::FromRedisValue>(&self, index: usize, command: &Cmd) -> T {
        self.nodes.lock().unwrap()[index].as_ref().unwrap().ask(command)
    }

    /// The slot of a key, and the master it belongs to when the cluster is new.
    pub fn slot_and_master(&self, key: &[u8]) -> (usize, usize) {
        let slot: usize = self.ask_master(0, cluster("KEYSLOT").arg(key));
        let owner = (0..MASTERS).find(|index| slot < (index + 1) * SLOTS / MASTERS).unwrap();
        (slot, owner)
    }

    /// Begins to move a slot from one master to another: from now on new keys of it belong to the other.
    pub fn begin_to_move(&self, slot: usize, from: usize, to: usize) {
        let ids: Vec<String> = [from, to].map(|index| self.ask_master(index, &cluster("MYID"))).into();
        let _: String = self.ask_master(to, cluster("SETSLOT").arg(slot).arg("IMPORTING").arg(&ids[0]));
        let _: String = self.ask_master(from, cluster("SETSLOT").arg(slot).arg("MIGRATING").arg(&ids[1]));
    }

    /// Moves the keys of a slot that are left and ends the move.
    pub fn end_to_move(&self, slot: usize, from: usize, to: usize) {
        let keys: Vec<Vec<u8>> = self.ask_master(from, cluster("GETKEYSINSLOT").arg(slot).arg(1_000));
        let port = self.nodes.lock().unwrap()[to].as_ref().unwrap().port;
        if !keys.is_empty() {
            let mut migrate = cmd("MIGRATE");
            migrate.arg("127.0.0.1").arg(port).arg("").arg(0).arg(1_000).arg("REPLACE").arg("KEYS").arg(keys);
            let _: String = self.ask_master(from, &migrate);
        }
        let id: String = self.ask_master(to, &cluster("MYID"));
        for index in [to, from] {
            let _: String = self.ask_master(index, cluster("SETSLOT").arg(slot).arg("NODE").arg(&id));
        }
    }
}

impl AnyRedis for RedisCluster {
    fn url(&self) -> String {
        self.url.clone()
    }

    fn keys(&self, pattern: &str) -> Vec<Vec<u8>> {
        let nodes = self.nodes.lock().unwrap();
        let living = nodes.iter().flatten();
        // A replica holds the keys too; one that is found twice is found.
        living.flat_map(|node| node.try_ask::<Vec<Vec<u8>>>(cmd("KEYS").arg(pattern)).unwrap_or_default()).collect()
    }

    fn texts(&self, pattern: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
        let nodes = self.nodes.lock().unwrap();
        let living = nodes.iter().flatten();
        living.flat_map(|node| node.try_ask::<Vec<_>>(&texts_of(pattern)).unwrap_or_default()).collect()
    }

    fn delete(&self, keys: &[Vec<u8>]) {
        for key in keys {
            let (_, owner) = self.slot_and_master(key);
            let _: i64 = self.ask_master(owner, cmd("DEL").arg(key));
        }
    }
}

fn start_node() -> RedisNode {
    RedisNode::start(
        |_, _| {},
        |directory, port, bus| {
            let own = [
                ("--cluster-enabled", "yes".to_owned()),
                ("--cluster-port", bus.to_string()),
                ("--cluster-node-timeout", NODE_TIMEOUT_MS.to_string()),
                ("--repl-diskless-sync-delay", "0".to_owned()),
            ];
            let mut arguments = RedisNode::common_arguments(directory, port);
            arguments.extend(own.into_iter().flat_map(|(name, value)| [name.to_owned(), value]));
            arguments
        },
    )
}

fn cluster(command: &str) -> Cmd {
    let mut cluster = cmd("CLUSTER");
    cluster.arg(command);
    cluster
}

fn info(node: &RedisNode) -> String {
    node.try_ask(cmd("INFO").arg("replication")).unwrap_or_default()
}

/// The nodes that one knows and has shaken hands with.
fn lines(node: &RedisNode) -> Vec<String> {
    let nodes: String = node.ask(&cluster("NODES"));
    nodes.lines().filter(|line| !line.contains("handshake")).map(str::to_owned).collect()
}

fn knows(node: &RedisNode, count: usize) -> bool {
    lines(node).len() == count
}

fn replicas_seen(node: &RedisNode) -> usize {
    lines(node).iter().filter(|line| line.contains("slave")).count()
}

fn is_whole(node: &RedisNode) -> bool {
    let info: String = node.ask(&cluster("INFO"));
    info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:16384")
}

fn wait(what: &str, mut look: impl FnMut() -> bool) {
    let started = Instant::now();
    while !look() {
        assert!(started.elapsed() < AGREE_WAIT, "this did not happen: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

//! Redis servers that stand for one another: a master with a replica and a sentinel, and a cluster.

use std::net::SocketAddr;
use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::redis::{command, free_addr, serve_with};
use crate::wait::READY_WITHIN;
use crate::{ProcessGroup, Program, wait_until};

/// A master, its replica, and a sentinel that makes the replica master when the master has been gone for half a second.
#[derive(Debug)]
pub struct RedisSentinel {
    master: ProcessGroup,
    master_addr: SocketAddr,
    replica_addr: SocketAddr,
    sentinel_addr: SocketAddr,
    _replica: ProcessGroup,
    _sentinel: ProcessGroup,
    _folders: [TempDir; 3],
}

impl RedisSentinel {
    /// Starts all three, and returns when the sentinel knows the replica.
    #[must_use]
    pub fn start() -> Self {
        let folders = [(); 3].map(|()| tempfile::tempdir().expect("temporary folder"));
        let [master_addr, replica_addr, sentinel_addr] = [(); 3].map(|()| free_addr());
        let master_port = master_addr.port().to_string();
        let quick = ["--repl-diskless-sync-delay", "0"];
        let master = serve_with(master_addr, &quick, folders[0].path());
        let replica =
            serve_with(replica_addr, &["--replicaof", "127.0.0.1", &master_port], folders[1].path());
        let file = folders[2].path().join("sentinel.conf");
        let settings = format!(
            "bind 127.0.0.1\nport {}\nsentinel monitor main 127.0.0.1 {master_port} 1\n\
             sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 2000\n",
            sentinel_addr.port()
        );
        std::fs::write(&file, settings).expect("the temporary folder takes a file");
        let mut sentinel = ProcessGroup::spawn(
            Command::new(Program::REDIS.path()).arg(&file).arg("--sentinel"),
            &folders[2].path().join("sentinel.log"),
        );
        wait_until("the sentinel to know master and replica", READY_WITHIN, || {
            sentinel.expect_running();
            let told = command(sentinel_addr, &["SENTINEL", "REPLICAS", "main"]).ok()?;
            let linked = told.contains("master-link-status\r\n$2\r\nok");
            (linked && told.contains(&replica_addr.port().to_string())).then_some(())
        });
        Self {
            master,
            master_addr,
            replica_addr,
            sentinel_addr,
            _replica: replica,
            _sentinel: sentinel,
            _folders: folders,
        }
    }

    /// The address of the master, as the sentinel knows it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis+sentinel://{}?master=main", self.sentinel_addr)
    }

    /// Waits until the replica has what the master has now.
    pub fn replicate(&self) {
        wait_for_replica_of(self.master_addr);
    }

    /// `kill -9` for the master, for good. Returns when the replica is the master.
    pub fn fail_over(&mut self) {
        self.master.kill();
        self.wait_for_replica();
    }

    /// The master hangs for good: it answers nobody, and its connections stay open. Returns when the replica is the master.
    pub fn fail_over_hanging(&mut self) {
        self.master.signal(Signal::STOP);
        self.wait_for_replica();
    }

    fn wait_for_replica(&self) {
        wait_until("the replica to be made master", READY_WITHIN, || {
            command(self.replica_addr, &["ROLE"]).ok()?.contains("master").then_some(())
        });
    }
}

/// A cluster of three masters, with or without a replica for each.
#[derive(Debug)]
pub struct RedisCluster {
    /// The masters come first.
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    addr: SocketAddr,
    bus: String,
    process: ProcessGroup,
    _folder: TempDir, // Last: it goes when nobody writes to it any more.
}

impl Node {
    /// A node that finds another gone after so many milliseconds.
    fn start(timeout: &str) -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let (addr, bus) = (free_addr(), free_addr().port().to_string());
        let settings = [
            ["--cluster-enabled", "yes"],
            ["--cluster-port", &bus],
            ["--cluster-node-timeout", timeout],
            ["--repl-diskless-sync-delay", "0"],
        ];
        let process = serve_with(addr, settings.as_flattened(), folder.path());
        Self { addr, bus, process, _folder: folder }
    }

    fn command(&self, words: &[&str]) -> String {
        command(self.addr, words).expect("a node answers")
    }

    fn wait_for(&self, what: &str, words: &[&str], holds: impl Fn(&str) -> bool) {
        wait_until(what, READY_WITHIN, || holds(&command(self.addr, words).ok()?).then_some(()));
    }
}

impl RedisCluster {
    /// Starts the masters, and returns when each finds the cluster whole.
    #[must_use]
    pub fn start() -> Self {
        Self::of([(); 3].map(|()| Node::start("15000")).into())
    }

    /// Starts three masters and a replica for each, and returns when each finds the cluster whole and its master.
    /// A replica is made master a second or two after its master is gone.
    #[must_use]
    pub fn replicated() -> Self {
        let cluster = Self::of([(); 6].map(|()| Node::start("1000")).into());
        for (master, replica) in cluster.nodes[..3].iter().zip(&cluster.nodes[3..]) {
            let answer = master.command(&["CLUSTER", "MYID"]);
            let id = answer.lines().nth(1).expect("a bulk string");
            replica.wait_for("the replica to know its master", &["CLUSTER", "REPLICATE", id], |told| {
                told.starts_with("+OK")
            });
        }
        for replica in &cluster.nodes[3..] {
            replica.wait_for("the replica to follow", &["ROLE"], |told| told.contains("connected"));
        }
        // All have to know of it, so that they vote.
        for node in &cluster.nodes {
            node.wait_for("three replicas to be known", &["CLUSTER", "NODES"], |told| {
                told.matches(" slave ").count() + told.matches("myself,slave ").count() == 3
            });
        }
        cluster
    }

    fn of(nodes: Vec<Node>) -> Self {
        let slots = [["0", "5460"], ["5461", "10922"], ["10923", "16383"]];
        for (node, [first, last]) in nodes.iter().zip(slots) {
            node.command(&["CLUSTER", "ADDSLOTSRANGE", first, last]);
        }
        for node in &nodes {
            let port = node.addr.port().to_string();
            nodes[0].command(&["CLUSTER", "MEET", "127.0.0.1", &port, &node.bus]);
        }
        let known = format!("cluster_known_nodes:{}", nodes.len());
        for node in &nodes {
            node.wait_for("the cluster to be whole", &["CLUSTER", "INFO"], |told| {
                ["cluster_state:ok", "cluster_size:3", &known].iter().all(|fact| told.contains(fact))
            });
        }
        Self { nodes }
    }

    /// Waits until the replicas have what their masters have now.
    pub fn replicate(&self) {
        self.nodes.iter().take(3).for_each(|master| wait_for_replica_of(master.addr));
    }

    /// `kill -9` for the master of `key`, for good. Returns when its replica is the master.
    pub fn fail_over(&mut self, key: &str) {
        let told = self.nodes[0].command(&["CLUSTER", "KEYSLOT", key]);
        let slot: usize = told.trim_start_matches(':').trim_end().parse().expect("a number");
        let master = [5461, 10923].iter().filter(|first| slot >= **first).count();
        self.nodes[master].process.kill();
        self.nodes[master + 3]
            .wait_for("the replica to be made master", &["ROLE"], |told| told.contains("master"));
    }

    /// The address of the cluster, by two of its nodes.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis+cluster://{},{}", self.nodes[0].addr, self.nodes[1].addr)
    }
}

/// Waits until the replica of a master has told that it has what the master has now. It tells once a second, and gets nothing before it
/// has told for the first time.
fn wait_for_replica_of(master: SocketAddr) {
    let offsets = || {
        let told = command(master, &["INFO", "replication"]).ok()?;
        let after = |mark: &str| -> Option<u64> {
            let (_, rest) = told.split_once(mark)?;
            rest.split(|char: char| !char.is_ascii_digit()).next()?.parse().ok()
        };
        Some((after("master_repl_offset:")?, after(",offset=")?))
    };
    let (goal, _) = wait_until("the master to have a replica", READY_WITHIN, offsets);
    wait_until("the replica to follow", READY_WITHIN, || offsets().filter(|(_, replica)| *replica >= goal));
}

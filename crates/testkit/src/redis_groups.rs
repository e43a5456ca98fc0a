//! Redis servers that stand for one another: a master with a replica and a sentinel, and a cluster.

use std::net::SocketAddr;
use std::process::Command;

use tempfile::TempDir;

use crate::redis::{command, free_addr, serve_with};
use crate::wait::READY_WITHIN;
use crate::{ProcessGroup, Program, wait_until};

/// A master, its replica, and a sentinel that makes the replica master when the master has been gone for half a second.
#[derive(Debug)]
pub struct RedisSentinel {
    master: ProcessGroup,
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

    /// `kill -9` for the master, for good. Returns when the replica is the master.
    pub fn fail_over(&mut self) {
        self.master.kill();
        wait_until("the replica to be made master", READY_WITHIN, || {
            command(self.replica_addr, &["ROLE"]).ok()?.contains("master").then_some(())
        });
    }
}

/// A cluster of three masters without replicas.
#[derive(Debug)]
pub struct RedisCluster {
    addrs: [SocketAddr; 3],
    _nodes: [ProcessGroup; 3],
    _folders: [TempDir; 3],
}

impl RedisCluster {
    /// Starts the nodes, and returns when each finds the cluster whole.
    #[must_use]
    pub fn start() -> Self {
        let folders = [(); 3].map(|()| tempfile::tempdir().expect("temporary folder"));
        let addrs = [(); 3].map(|()| free_addr());
        let buses = [(); 3].map(|()| free_addr().port().to_string());
        let nodes = [0, 1, 2].map(|node: usize| {
            let settings = ["--cluster-enabled", "yes", "--cluster-port", &buses[node]];
            serve_with(addrs[node], &settings, folders[node].path())
        });
        let last_slots = ["5460", "10922", "16383"];
        let first_slots = ["0", "5461", "10923"];
        for node in 0..3 {
            let words = ["CLUSTER", "ADDSLOTSRANGE", first_slots[node], last_slots[node]];
            command(addrs[node], &words).expect("a node answers");
            let port = addrs[node].port().to_string();
            let words = ["CLUSTER", "MEET", "127.0.0.1", &port, &buses[node]];
            command(addrs[0], &words).expect("a node answers");
        }
        for addr in addrs {
            wait_until("the cluster to be whole", READY_WITHIN, || {
                let told = command(addr, &["CLUSTER", "INFO"]).ok()?;
                (told.contains("cluster_state:ok") && told.contains("cluster_size:3")).then_some(())
            });
        }
        Self { addrs, _nodes: nodes, _folders: folders }
    }

    /// The address of the cluster, by two of its nodes.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis+cluster://{},{}", self.addrs[0], self.addrs[1])
    }
}

//! Ports at which no web server is to be expected.

/// Ports that are refused unless the configuration names them, in order.
///
/// They are the [bad ports][fetch] of the WHATWG's fetch standard, which browsers block themselves, and with them
/// the usual ports of databases, queues and machines' administration: a request that such a service misreads can do
/// harm, and an answer can give secrets away.
///
/// [fetch]: https://fetch.spec.whatwg.org/#port-blocking
#[rustfmt::skip]
const REFUSED: [u16; 116] = [
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109,
    110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427,
    445, // SMB
    465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636,
    873, // rsync
    989, 990, 993, 995,
    1433, 1521, // SQL Server, Oracle
    1719, 1720, 1723, 2049,
    2181, 2375, 2376, 2379, 2380, // ZooKeeper, Docker, etcd
    3306, 3389, // MySQL, remote desktop
    3659, 4045, 4190,
    4222, // NATS
    5060, 5061,
    5432, 5672, 5900, 5984, 5985, 5986, // PostgreSQL, AMQP, VNC, CouchDB, WinRM
    6000,
    6379, 6380, // Redis
    6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697,
    7000, 7001, 9042, 9092, // Cassandra and Kafka
    9200, 9300, // Elasticsearch
    10080,
    10250, 10255, // the agent of Kubernetes
    11211, // memcached
    26379, // Redis' sentinel
    27017, 27018, 27019, // MongoDB
];

/// Whether no web server is to be expected at `port`.
pub(crate) fn is_refused(port: u16) -> bool {
    REFUSED.binary_search(&port).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_order() {
        assert!(REFUSED.is_sorted_by(|a, b| a < b));
    }
}

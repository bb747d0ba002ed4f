//! A broker in the process, for the demo and for quick tests: librdkafka's mock cluster.
//!
//! It keeps at most 5 MiB or 100,000 records of a partition and compacts nothing, so that whoever
//! feeds it must not run ahead of the slowest reader. It proves nothing about durability.

use crate::config::Config;
use crate::stream::{StreamError, topics};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

/// Partitions of each topic.
const PARTITIONS: u32 = 4;

/// The broker; gone when dropped.
pub struct Embedded {
    cluster: MockCluster<'static, DefaultProducerContext>,
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded").finish_non_exhaustive()
    }
}

impl Embedded {
    /// Starts a broker with the monitor's topics, and returns it with a configuration that names it.
    ///
    /// # Errors
    /// Where the client library cannot start one.
    pub fn start() -> Result<(Self, Config), StreamError> {
        let cluster =
            MockCluster::new(1).map_err(StreamError::client("start the embedded broker"))?;
        let mut config = Config::default_for(&cluster.bootstrap_servers());
        config.topics.partitions = PARTITIONS;
        for topic in topics::wanted(&config) {
            let partitions = i32::try_from(topic.partitions).unwrap_or(1);
            cluster
                .create_topic(&topic.name, partitions, 1)
                .map_err(StreamError::client("create a topic"))?;
        }
        Ok((Self { cluster }, config))
    }

    /// Where it answers.
    pub fn address(&self) -> String {
        self.cluster.bootstrap_servers()
    }
}

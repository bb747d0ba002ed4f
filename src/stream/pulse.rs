//! The pulse of a client: whether it still knows a broker that it could ask.
//!
//! A broker that was frozen, or is being upgraded, may say for a moment that there are no brokers at all. The client
//! (librdkafka 2.12, its issue 5301) then drops those that it knew and, where its threads meet unluckily, never asks
//! anybody again. Nothing but a new client helps; since what is on its way through a producer would be in doubt, the
//! whole process begins anew, as it does after a `kill -9`. A broker that is merely away is waited for, without end.

use crate::clock::Stopwatch;
use crate::config::Config;
use crate::stream::StreamError;
use crate::stream::client::{self, Ear, Troubles};
use rdkafka::client::{Client, ClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::types::RDKafkaErrorCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often a client that says that all brokers are down is looked after.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long the client waits for an answer.
const ANSWER: Duration = Duration::from_secs(1);
/// How long a client that has only just begun waits: it has to connect first.
const FIRST_ANSWER: Duration = Duration::from_secs(3);
/// So many looks in a row must find that others are answered and this client is not: a client that is merely slow to
/// find its broker again has long found it by then.
const LOST: u32 = 8;

/// Set once a client is lost that cannot be made anew alone. What it left cannot be taken down in order, since that
/// would wait for it: whoever can end the process looks here.
static ANY_LOST: AtomicBool = AtomicBool::new(false);

/// Whether a client of this process is lost, so that the process must begin anew.
pub fn is_any_lost() -> bool {
    ANY_LOST.load(Ordering::Relaxed)
}

/// What was found of one client.
#[derive(Debug)]
pub struct Pulse {
    last: Stopwatch,
    missed: u32,
    /// Whether its owner makes a new client by itself.
    is_mended: bool,
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            last: Stopwatch::start(),
            missed: 0,
            is_mended: false,
        }
    }
}

impl Pulse {
    /// That of a client whose owner makes a new one where it is lost.
    pub fn of_one_that_is_mended() -> Self {
        Self {
            is_mended: true,
            ..Self::default()
        }
    }

    /// Looks after a client that has said that all brokers are down; once a second at most.
    ///
    /// # Errors
    /// [`StreamError::Lost`] where others are answered and it has not been, so often in a row.
    pub fn feel<C: ClientContext>(
        &mut self,
        config: &Config,
        client: &Client<C>,
        troubles: &Troubles,
    ) -> Result<(), StreamError> {
        let down = RDKafkaErrorCode::AllBrokersDown;
        if !matches!(troubles.last(), Some((code, _)) if code == down) {
            self.missed = 0;
            return Ok(());
        }
        if self.last.elapsed() < LOOK_EVERY {
            return Ok(());
        }
        self.last = Stopwatch::start();
        let answered = client
            .fetch_metadata(Some(&config.topics.log), ANSWER)
            .is_ok();
        if answered {
            troubles.clear();
            self.missed = 0;
            return Ok(());
        }
        self.missed(config)
    }

    /// Counts that a client got no answer, if others get one.
    ///
    /// # Errors
    /// [`StreamError::Lost`] after so many in a row.
    pub fn missed(&mut self, config: &Config) -> Result<(), StreamError> {
        if !answers(config) {
            self.missed = 0;
            return Ok(());
        }
        self.missed += 1;
        tracing::warn!(
            times = self.missed,
            "a new Kafka client is answered, and one of ours is not"
        );
        if self.missed < LOST {
            return Ok(());
        }
        if !self.is_mended {
            ANY_LOST.store(true, Ordering::Relaxed);
        }
        Err(StreamError::Lost)
    }
}

/// Whether a client that has only just begun is answered.
fn answers(config: &Config) -> bool {
    let made = client::reader(config)
        .map(|options| options.create_with_context::<_, BaseConsumer<Ear>>(Ear::default()));
    match made {
        Ok(Ok(fresh)) => fresh
            .fetch_metadata(Some(&config.topics.log), FIRST_ANSWER)
            .is_ok(),
        Ok(Err(_)) | Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::error::KafkaError;
    use rdkafka::mocking::MockCluster;
    use std::net::TcpListener;

    /// An address at which nobody listens.
    fn nowhere() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    }

    fn config(bootstrap: &str) -> Config {
        let text = format!("[kafka]\nbootstrap = \"{bootstrap}\"\n");
        Config::parse("varsel.toml", &text).unwrap()
    }

    /// A client without a broker, that has said so.
    fn lonely() -> BaseConsumer<Ear> {
        let options = client::reader(&config(&nowhere())).unwrap();
        let lonely: BaseConsumer<Ear> = options.create_with_context(Ear::default()).unwrap();
        let error = KafkaError::Global(RDKafkaErrorCode::AllBrokersDown);
        lonely.context().troubles.note(&error, "all are down");
        lonely
    }

    /// Looks without waiting a second between two looks.
    fn look(pulse: &mut Pulse, config: &Config, client: &BaseConsumer<Ear>) -> bool {
        while pulse.last.elapsed() < LOOK_EVERY {
            std::thread::yield_now();
        }
        let troubles = &client.context().troubles;
        pulse.feel(config, client.client(), troubles).is_err()
    }

    #[test]
    fn a_client_that_gets_no_answer_where_others_do_is_lost_after_a_while() {
        let cluster = MockCluster::new(1).unwrap();
        let there = config(&cluster.bootstrap_servers());
        let (lonely, mut pulse) = (lonely(), Pulse::of_one_that_is_mended());
        assert!((1..LOST).all(|_| !look(&mut pulse, &there, &lonely)));
        assert!(look(&mut pulse, &there, &lonely));
        // Its owner makes a new one: the process goes on.
        assert!(!is_any_lost());
    }

    #[test]
    fn a_broker_that_answers_nobody_is_waited_for() {
        let gone = config(&nowhere());
        let (lonely, mut pulse) = (lonely(), Pulse::default());
        assert!((0..4).all(|_| !look(&mut pulse, &gone, &lonely)));
    }

    #[test]
    fn a_client_that_is_answered_again_is_not_troubled_any_more() {
        let cluster = MockCluster::new(1).unwrap();
        let there = config(&cluster.bootstrap_servers());
        let options = client::reader(&there).unwrap();
        let fine: BaseConsumer<Ear> = options.create_with_context(Ear::default()).unwrap();
        let error = KafkaError::Global(RDKafkaErrorCode::AllBrokersDown);
        fine.context().troubles.note(&error, "all were down");
        assert!(!look(&mut Pulse::default(), &there, &fine));
        assert!(fine.context().troubles.last().is_none());
    }
}

//! The broker that `tests/kafka/run` started: where it answers, and how to take it away and bring it back.
//!
//! It is stopped and started by the script `tests/kafka/broker`, which knows whether it is a Java process or a container.

use std::process::Command;

const UNNAMED: &str = "no broker is named: run `tests/kafka/run`, which brings an Apache Kafka and then runs these tests";

#[derive(Debug, Clone)]
pub struct Broker {
    pub bootstrap: String,
    /// The listener that asks for a user: SASL over plain text.
    pub asking: String,
    script: String,
    home: String,
}

fn named(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{UNNAMED} (`{variable}` is not set)"))
}

impl Broker {
    pub fn named() -> Self {
        Self {
            bootstrap: named("VARSEL_KAFKA_BOOTSTRAP"),
            asking: named("VARSEL_KAFKA_SASL_BOOTSTRAP"),
            script: named("VARSEL_KAFKA_BROKER"),
            home: named("VARSEL_KAFKA_HOME"),
        }
    }

    fn told(&self, what: &str) {
        let output = Command::new(&self.script)
            .args([what, &self.home])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "the broker would not {what}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Returns once the broker answers.
    pub fn start(&self) {
        self.told("start");
    }

    /// In good order; returns once it is gone.
    pub fn stop(&self) {
        self.told("stop");
    }

    /// With SIGKILL; returns once it is gone.
    pub fn kill(&self) {
        self.told("kill");
    }

    /// It keeps its connections and answers nothing.
    pub fn freeze(&self) {
        self.told("freeze");
    }

    pub fn thaw(&self) {
        self.told("thaw");
    }
}

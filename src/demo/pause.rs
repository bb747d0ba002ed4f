//! The pause before the payment that was lost: how to ask about it, and how to go on.
//!
//! It prints what a newcomer can paste, and waits for Enter or a call; it asks nothing by itself.

use crate::demo::{CASE, LOSS};
use axum::Router;
use axum::routing::post;
use std::io::{self, BufRead, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How often is looked whether to go on.
const LOOK: Duration = Duration::from_millis(20);

/// A pause, if one is wanted.
#[derive(Debug)]
pub struct Pause {
    wanted: bool,
    go_on: Arc<AtomicBool>,
    address: Arc<OnceLock<SocketAddr>>,
    /// Set by the user's Ctrl-C.
    pub stop: Arc<AtomicBool>,
}

impl Pause {
    /// A pause to come; `address` is where HTTP will be served.
    pub fn new(wanted: bool, address: &Arc<OnceLock<SocketAddr>>, stop: &Arc<AtomicBool>) -> Self {
        Self {
            wanted,
            go_on: Arc::default(),
            address: Arc::clone(address),
            stop: Arc::clone(stop),
        }
    }

    /// The call that ends it.
    pub fn router(&self) -> Router {
        let go_on = Arc::clone(&self.go_on);
        let proceed = move || {
            let go_on = Arc::clone(&go_on);
            async move {
                go_on.store(true, Ordering::Relaxed);
                "the story goes on\n"
            }
        };
        Router::new().route("/v1/demo/continue", post(proceed))
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Says where HTTP is served, once it is.
    ///
    /// # Errors
    /// Where the terminal fails.
    pub fn tell(&self, out: &mut dyn Write) -> io::Result<()> {
        while self.address.get().is_none() && !self.stopped() {
            std::thread::sleep(LOOK);
        }
        if let Some(address) = self.address.get() {
            writeln!(
                out,
                "HTTP at http://{address}/v1, mails to the fraud team at http://{address}/demo/mails\n"
            )?;
        }
        out.flush()
    }

    /// Waits, where that is wanted; `hold` is the id of a hold that stands.
    ///
    /// # Errors
    /// Where the terminal fails.
    pub fn wait(&self, hold: Option<&str>, out: &mut dyn Write) -> io::Result<()> {
        let Some(address) = self.address.get().filter(|_| self.wanted) else {
            return Ok(());
        };
        let question = question();
        writeln!(
            out,
            "\nThe payment that was lost comes next. Ask about it:\n"
        )?;
        writeln!(
            out,
            "curl -s http://{address}/v1/assessments -d '{question}'\n"
        )?;
        if let Some(hold) = hold {
            writeln!(
                out,
                "What stands against the card, and how to release the hold:\n"
            )?;
            writeln!(out, "curl -s http://{address}/v1/cards/c-144\n")?;
            writeln!(
                out,
                "curl -s http://{address}/v1/holds/{hold}/release -d '{{\"by\":\"you\",\"reason\":\"the customer was asked\"}}'\n"
            )?;
        }
        writeln!(
            out,
            "Enter goes on, and so does: curl -s -X POST http://{address}/v1/demo/continue\n"
        )?;
        out.flush()?;
        let go_on = Arc::clone(&self.go_on);
        // Ends with the process: nothing else can wake a thread that reads a terminal.
        std::thread::Builder::new()
            .name("enter".to_owned())
            .spawn(move || {
                let mut line = String::new();
                let read = io::stdin().lock().read_line(&mut line);
                // An end of input is no Enter.
                if read.is_ok_and(|bytes| bytes > 0) {
                    go_on.store(true, Ordering::Relaxed);
                }
            })?;
        while !self.go_on.load(Ordering::Relaxed) && !self.stopped() {
            std::thread::sleep(LOOK);
        }
        Ok(())
    }
}

/// The payment as it is asked about: its outcome is not known yet.
fn question() -> String {
    let line = CASE.lines().find(|line| line.contains(LOSS));
    line.unwrap_or_default()
        .replace("\"response_code\":\"00\",", "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Decoder;
    use crate::domain::event::Event;

    #[test]
    fn the_payment_that_was_lost_is_asked_about_without_its_outcome() {
        let question = question();
        assert!(question.contains(LOSS) && !question.contains("response_code"));
        let mut event = Event::default();
        assert!(
            Decoder::default()
                .decode(question.as_bytes(), &mut event)
                .is_err()
        );
        Decoder::default()
            .question(question.as_bytes(), &mut event)
            .unwrap();
    }
}

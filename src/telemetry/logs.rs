//! The log: lines to standard error, JSON by default, stamped by our own clock.
//!
//! It deliberately filters by weight alone; what may be said at all (no card, amount or merchant above `debug`) is for
//! whoever says it.

use crate::clock;
use crate::config::{Format, Level};
use crate::domain::time::rfc3339;
use std::fmt;
use std::io;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

/// The log was begun before in this process.
#[derive(Debug, thiserror::Error)]
#[error("the log cannot be begun: {0}")]
pub struct LogsError(#[from] tracing::subscriber::SetGlobalDefaultError);

/// Begins the log of this process, to standard error.
///
/// # Errors
/// Where one was begun before.
pub fn logs(level: Level, format: Format) -> Result<(), LogsError> {
    let subscriber = subscriber(level, format, io::stderr);
    Ok(tracing::subscriber::set_global_default(subscriber)?)
}

/// Wall time in UTC, as everywhere else in what Varsel writes.
struct Stamp;

impl FormatTime for Stamp {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        w.write_str(&rfc3339(clock::now_ms()))
    }
}

fn subscriber<W>(level: Level, format: Format, to: W) -> Box<dyn tracing::Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt()
        .with_max_level(filter(level))
        .with_writer(to)
        .with_timer(Stamp);
    match format {
        Format::Json => Box::new(
            lines
                .json()
                .flatten_event(true)
                .with_current_span(true)
                .with_span_list(false)
                .finish(),
        ),
        Format::Text => Box::new(lines.compact().with_ansi(false).finish()),
    }
}

fn filter(level: Level) -> LevelFilter {
    match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    fn written(level: Level, format: Format) -> String {
        let buffer = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&buffer);
        let to = move || Sink(Arc::clone(&sink));
        tracing::subscriber::with_default(subscriber(level, format, to), || {
            tracing::info!(topic = "varsel.log", partition = 3, "assigned");
            tracing::debug!("how");
        });
        String::from_utf8(buffer.lock().unwrap().clone()).unwrap()
    }

    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_one_json_object_with_its_fields() {
        let text = written(Level::Info, Format::Json);
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["message"], "assigned");
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["topic"], "varsel.log");
        assert_eq!(line["partition"], 3);
        let stamp = line["timestamp"].as_str().unwrap();
        assert!(stamp.len() == 24 && stamp.ends_with('Z'), "{stamp}");
    }

    #[test]
    fn a_level_lets_through_what_is_as_heavy() {
        assert_eq!(written(Level::Warn, Format::Json), "");
        let text = written(Level::Debug, Format::Text);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(
            text.contains("assigned") && text.contains("partition=3"),
            "{text}"
        );
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}

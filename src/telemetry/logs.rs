//! The set-up of logs: JSON lines on standard error, a form for people when that is a terminal,
//! filtered by `RUST_LOG`.
//!
//! Knows no event. Field names are promised to operators: `checkout.id`, `account`, `shop`,
//! `action.kind`, `attempt`, `code`.

use std::io::{self, IsTerminal};
use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

/// What is logged when `RUST_LOG` says nothing.
const DEFAULT_FILTER: &str = "info";

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogForm {
    /// One JSON object a line, for machines.
    Json,
    /// For people at a terminal.
    Human,
}

impl LogForm {
    /// Human when standard error is a terminal, JSON otherwise.
    pub fn for_stderr() -> LogForm {
        if io::stderr().is_terminal() {
            LogForm::Human
        } else {
            LogForm::Json
        }
    }
}

/// Starts logging to standard error for the whole process. `filter` is the content of
/// `RUST_LOG`, if it is set.
///
/// # Errors
/// When logging was started before.
pub fn start(form: LogForm, filter: Option<&str>) -> Result<(), TryInitError> {
    subscriber(form, filter, io::stderr).try_init()
}

/// A subscriber that writes to `writer`. A filter that cannot be read counts as `info`.
pub fn subscriber<W>(
    form: LogForm,
    filter: Option<&str>,
    writer: W,
) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let parsed = filter
        .filter(|text| !text.is_empty())
        .and_then(|text| EnvFilter::try_new(text).ok());
    let filter = parsed.unwrap_or_else(|| EnvFilter::new(DEFAULT_FILTER));
    let lines: Box<dyn Layer<_> + Send + Sync> = match form {
        LogForm::Json => Box::new(
            fmt::layer()
                .json()
                .flatten_event(true)
                .with_current_span(true)
                .with_span_list(false)
                .with_writer(writer),
        ),
        LogForm::Human => Box::new(fmt::layer().with_target(false).with_writer(writer)),
    };
    Registry::default().with(filter).with(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
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

    fn logged(form: LogForm, filter: Option<&str>) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = subscriber(form, filter, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(
                checkout.id = "ck_1",
                attempt = 2,
                "confirm sent\nforged line"
            );
            tracing::debug!("not by default");
        });
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_json_line_has_message_and_fields_at_the_top_and_is_one_line() {
        let text = logged(LogForm::Json, None);
        assert_eq!(text.lines().count(), 1);
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["message"], "confirm sent\nforged line");
        assert_eq!(line["checkout.id"], "ck_1");
        assert_eq!(line["attempt"], 2);
        assert_eq!(line["level"], "INFO");
    }

    #[test]
    fn the_filter_decides_and_a_bad_one_counts_as_info() {
        assert!(logged(LogForm::Human, Some("debug")).contains("not by default"));
        assert_eq!(logged(LogForm::Json, Some("warn")), "");
        let bad = logged(LogForm::Json, Some("=[=,"));
        assert_eq!(bad.lines().count(), 1);
    }
}

//! Log lines in the reference's three shapes: `text` (Go's slog), `json` and `pretty`.
//!
//! A layer over `tracing`: it collects the fields of an event and of the spans around it, gives them to the chosen format, and
//! writes each line in one piece. Fields keep their names, dots included (`txid.min`); durations are logged with `?duration`.
//! Warnings and errors that repeat are one line in a while (`repeats`); a line about a database has its name and its path.

mod fields;
mod json;
mod pretty;
mod repeats;
#[cfg(test)]
mod tests;
mod text;

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use litestream_core::clock;
use litestream_core::config::{LogFormat, LogLevel, LoggingConfig};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use crate::terminal::BesideBars;
use fields::{Field, Fields, Value};
use repeats::Repeats;

/// Starts logging for the rest of the process. The first call wins; later ones do nothing.
pub fn start(config: &LoggingConfig) {
    let terminal = if config.stderr { io::stderr().is_terminal() } else { io::stdout().is_terminal() };
    let sink: Box<dyn Write + Send> = match (config.stderr, terminal) {
        (true, true) => Box::new(BesideBars(io::stderr())),
        (true, false) => Box::new(io::stderr()),
        (false, true) => Box::new(BesideBars(io::stdout())),
        (false, false) => Box::new(io::stdout()),
    };
    let colour = terminal && config.format == LogFormat::Pretty;
    let level = match config.level {
        LogLevel::Trace => LevelFilter::TRACE,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    };
    let layer = LogLayer::new(config.format, config.source, colour, sink);
    let subscriber = tracing_subscriber::registry().with(layer.with_filter(level));
    // Only a second call can fail, and then the first one's choice stands.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// One line, ready to be written in any shape.
struct Line<'a> {
    time: Zoned,
    level: Level,
    /// `file:line`, when wanted.
    source: Option<Source<'a>>,
    message: &'a str,
    /// Those of the spans, outermost first, then the event's own.
    fields: &'a [Field],
}

/// Where an event was logged.
struct Source<'a> {
    module: &'a str,
    /// Below `src/`.
    file: &'a str,
    line: u32,
}

struct LogLayer {
    format: LogFormat,
    /// Whether each line shows its place in the source.
    with_source: bool,
    colour: bool,
    zone: TimeZone,
    repeats: Mutex<Repeats>,
    sink: Mutex<Box<dyn Write + Send>>,
}

/// Modules whose `path` is that of a database.
const OF_DATABASES: [&str; 3] = ["litestream_core::fleet", "litestream_core::db", "litestream_core::discovery"];

impl LogLayer {
    fn new(format: LogFormat, with_source: bool, colour: bool, sink: Box<dyn Write + Send>) -> LogLayer {
        LogLayer {
            format,
            with_source,
            colour,
            zone: TimeZone::system(),
            repeats: Mutex::default(),
            sink: Mutex::new(sink),
        }
    }

    fn now(&self) -> Zoned {
        let since_epoch = i128::try_from(clock::unix_time().as_nanos()).unwrap_or(i128::MAX);
        Timestamp::from_nanosecond(since_epoch).unwrap_or(Timestamp::MAX).to_zoned(self.zone.clone())
    }

    fn source<'a>(&self, metadata: &Metadata<'a>) -> Option<Source<'a>> {
        let (file, line) = metadata.file().zip(metadata.line()).filter(|_| self.with_source)?;
        let file = file.rsplit_once("src/").map_or(file, |(_, below)| below);
        Some(Source { module: metadata.module_path().unwrap_or_default(), file, line })
    }

    fn write(&self, line: &Line<'_>) {
        let mut text = match self.format {
            LogFormat::Text => text::format(line),
            LogFormat::Json => json::format(line),
            LogFormat::Pretty => pretty::format(line, self.colour),
        };
        text.push('\n');
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        // A log that cannot be written has nowhere to be reported, and must not stop replication.
        let _ = sink.write_all(text.as_bytes()).and_then(|()| sink.flush());
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for LogLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(of_span) = span.extensions().get::<Fields>() {
                fields.list.extend_from_slice(&of_span.list);
            }
        }
        event.record(&mut fields);
        let metadata = event.metadata();
        if OF_DATABASES.iter().any(|module| metadata.target().starts_with(module)) {
            fields.name_database();
        }
        if *metadata.level() <= Level::WARN {
            let mut repeats = self.repeats.lock().unwrap_or_else(PoisonError::into_inner);
            match repeats.admit(repeats::key(metadata, &fields), clock::monotonic()) {
                None => return,
                Some(0) => {}
                Some(more) => fields.list.push(Field { name: "repeated", value: Value::Integer(more.into()) }),
            }
        }
        self.write(&Line {
            time: self.now(),
            level: *metadata.level(),
            source: self.source(metadata),
            message: &fields.message,
            fields: &fields.list,
        });
    }
}

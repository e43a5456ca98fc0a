//! Jobs in NATS JetStream: a work-queue stream for jobs, and another for dead letters.
//!
//! A job's key, in hexadecimal, is the last part of its subject. The stream takes one message a subject, and refuses
//! more than `depth`; so the server itself keeps a key from being in twice, for as long as the job is there (its
//! de-duplication by message id forgets after a while), and holds the bound. The consumer `workers` gives a job out
//! again when `ack_wait`, the lease, has passed. It has no `max_deliver`: past it the server would only stop, and tell
//! whoever happens to listen; who claims sees the number and makes the dead letter.

use std::time::Duration;

use buttress_connect::BoxError;
use buttress_connect::nats::Nats;
use buttress_connect::nats::client::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use buttress_connect::nats::client::jetstream::message::StreamMessage;
use buttress_connect::nats::client::jetstream::stream::{
    Config, DeleteMessageErrorKind, DiscardPolicy, Info, LastRawMessageErrorKind, RetentionPolicy, Stream,
};
use buttress_connect::nats::client::{HeaderMap, HeaderValue};
use buttress_core::{Ctx, ErrorClass, Key, SharedClock, timeout};
use bytes::Bytes;
use futures_util::StreamExt;

use super::shared::{full, key, wall_ms};
use crate::{DeadLetter, DeadLetters, Error, Job, Pushed, Queue, QueueConfig, Stats, Verdict};

const ATTEMPTS: &str = "Buttress-Attempts";
const CLASS: &str = "Buttress-Class";
/// In hexadecimal: a header cannot hold every text.
const REASON: &str = "Buttress-Reason";

/// How long a claim waits for a first job. Without a limit the server forgets to answer one whose job another took just
/// before, and later gives it a job that nobody waits for any more.
const LONGEST_CLAIM: Duration = Duration::from_millis(100);

pub(crate) struct NatsQueue {
    nats: Nats,
    config: QueueConfig,
    clock: SharedClock,
    jobs: Stream,
    dead: Stream,
    workers: PullConsumer,
}

impl NatsQueue {
    pub(crate) async fn open(config: &QueueConfig, ctx: &Ctx) -> Result<Self, Error> {
        let nats = Nats::connect(&config.url, &config.connection).await?;
        let name = &config.name;
        let jobs = Config {
            name: format!("buttress_{name}"),
            description: Some("buttress: jobs".to_owned()),
            subjects: vec![format!("buttress.{name}.job.*")],
            retention: RetentionPolicy::WorkQueue,
            discard: DiscardPolicy::New,
            discard_new_per_subject: true,
            max_messages_per_subject: 1,
            max_messages: i64::try_from(config.depth).unwrap_or(i64::MAX),
            ..Config::default()
        };
        let dead = Config {
            name: format!("buttress_{name}_dead"),
            description: Some("buttress: dead letters".to_owned()),
            subjects: vec![format!("buttress.{name}.dead.*")],
            // A job that dies twice, because somebody crashed while burying it, leaves one letter.
            discard: DiscardPolicy::Old,
            max_messages_per_subject: 1,
            ..Config::default()
        };
        let jobs = made(&nats, jobs).await?;
        let dead = made(&nats, dead).await?;
        let workers = jobs.create_consumer(pull::Config {
            durable_name: Some("workers".to_owned()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: config.lease,
            max_deliver: -1,
            max_ack_pending: -1,
            ..pull::Config::default()
        });
        let workers = workers.await.map_err(|error| refused(&nats, error))?;
        Ok(Self { nats, config: config.clone(), clock: ctx.clock.clone(), jobs, dead, workers })
    }

    fn subject(&self, kind: &str, key: &Key) -> String {
        format!("buttress.{}.{kind}.{}", self.config.name, hex(key.as_str()))
    }

    /// An operation that the server did not answer, or not with what was asked for.
    fn failed(&self, error: impl Into<BoxError>) -> Error {
        self.nats.failed(ErrorClass::Unavailable, error).into()
    }

    /// Puts a job into its stream; the stream refuses what is in it, and what is one too many.
    async fn publish(&self, key: &Key, payload: Bytes) -> Result<Pushed, Error> {
        let sent = self.nats.jetstream().publish(self.subject("job", key), payload).await;
        let outcome = match sent {
            Ok(acknowledged) => acknowledged.await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(_) => Ok(Pushed::New),
            Err(error) => match error.to_string() {
                told if told.contains("maximum messages per subject") => Ok(Pushed::Known),
                told if told.contains("maximum messages exceeded") => {
                    Err(full(&self.config, "jobs are unfinished"))
                }
                _ => Err(self.failed(error)),
            },
        }
    }

    /// Says `word` of a delivery, and waits until the server has heard it.
    async fn answer(&self, reply: &str, word: String) -> Result<(), Error> {
        let heard = self.nats.client().request(reply.to_owned(), word.into()).await;
        heard.map(drop).map_err(|error| self.failed(error))
    }

    /// Takes a job off the stream for good. An acknowledgement alone is kept in memory for a while, and a server that is
    /// killed gives the job out again; erasing the message is written at once.
    async fn forget(&self, sequence: &str, reply: &str) -> Result<(), Error> {
        match self.jobs.delete_message(sequence.parse().unwrap_or_default()).await {
            // Refused by the server, it is gone already: an earlier answer was lost.
            Err(error) if !matches!(error.kind(), DeleteMessageErrorKind::JetStream(_)) => {
                Err(self.failed(error))
            }
            _ => self.answer(reply, "+ACK".to_owned()).await,
        }
    }

    async fn bury(&self, job: &Job, class: ErrorClass, reason: &str) -> Result<(), Error> {
        let mut headers = HeaderMap::new();
        headers.insert(ATTEMPTS, job.attempt.to_string());
        headers.insert(CLASS, class.as_str());
        headers.insert(REASON, hex(reason));
        let subject = self.subject("dead", &job.key);
        let sent = self.nats.jetstream().publish_with_headers(subject, headers, job.payload.clone()).await;
        sent.map_err(|error| self.failed(error))?.await.map_err(|error| self.failed(error))?;
        Ok(())
    }

    /// The first message of a stream, from `sequence` on, whose subject matches.
    async fn message(
        &self,
        stream: &Stream,
        sequence: u64,
        subject: String,
    ) -> Result<Option<StreamMessage>, Error> {
        let found = stream.raw_message_builder().sequence(sequence).next_by_subject(subject).send().await;
        match found {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    async fn info(&self, stream: &Stream) -> Result<Info, Error> {
        stream.get_info().await.map_err(|error| self.failed(error))
    }
}

/// The stream, made or brought up to date.
async fn made(nats: &Nats, config: Config) -> Result<Stream, Error> {
    let name = config.name.clone();
    nats.jetstream().create_or_update_stream(config).await.map_err(|error| refused(nats, error))?;
    let stream = nats.jetstream().get_stream(name).await;
    stream.map_err(|error| nats.failed(ErrorClass::Unavailable, error).into())
}

/// A server that does not want to hold a queue: without JetStream, or without room.
fn refused(nats: &Nats, error: impl Into<BoxError>) -> Error {
    nats.failed(ErrorClass::Internal, error).into()
}

impl Queue for NatsQueue {
    async fn push(&self, key: &Key, payload: Bytes) -> Result<Pushed, Error> {
        let dead = self.dead.info_with_subjects(self.subject("dead", key)).await;
        let dead = dead.map_err(|error| self.failed(error))?;
        let buried = dead.info.state.messages;
        if dead.count().await > 0 {
            return Ok(Pushed::Known);
        }
        if buried >= self.config.depth {
            return Err(full(&self.config, "dead letters wait for somebody"));
        }
        self.publish(key, payload).await
    }

    async fn claim(&self, at_most: usize) -> Result<Vec<Job>, Error> {
        if at_most == 0 {
            return Ok(Vec::new());
        }
        let held_since = self.clock.now();
        let batch = self.workers.fetch().max_messages(at_most).expires(LONGEST_CLAIM).messages().await;
        let mut batch = batch.map_err(|error| self.failed(error))?;
        let mut jobs = Vec::new();
        let patience = LONGEST_CLAIM + self.config.connection.timeout;
        // A server that says no more has given what it has: what came counts.
        while let Ok(Some(message)) = timeout(&*self.clock, patience, batch.next()).await {
            let message = message.map_err(|error| self.failed(error))?;
            let delivery = message.info().map_err(|error| self.failed(error))?;
            let attempt = u32::try_from(delivery.delivered).unwrap_or(u32::MAX);
            let name = message.subject.rsplit('.').next().unwrap_or_default();
            let reply = message.reply.as_deref().unwrap_or_default();
            let token = format!("{} {reply}", delivery.stream_sequence);
            jobs.push(Job::new(key(&unhex(name)?)?, message.payload.clone(), attempt, token, held_since));
        }
        Ok(jobs)
    }

    async fn settle(&self, job: &Job, verdict: Verdict) -> Result<(), Error> {
        // The server takes the word of whoever had the job once; so whoever has outstayed the lease says nothing.
        if self.clock.now().saturating_duration_since(job.held_since) >= self.config.lease {
            return Err(Error::LeaseLost { key: job.key.to_string(), attempt: job.attempt });
        }
        let lost = || Error::LeaseLost { key: job.key.to_string(), attempt: job.attempt };
        let (sequence, reply) = job.token.split_once(' ').ok_or_else(lost)?;
        match verdict {
            Verdict::Done => self.forget(sequence, reply).await,
            Verdict::Extend => self.answer(reply, "+WPI".to_owned()).await,
            Verdict::Retry { after } if after.is_zero() => self.answer(reply, "-NAK".to_owned()).await,
            Verdict::Retry { after } => {
                self.answer(reply, format!("-NAK {{\"delay\": {}}}", after.as_nanos())).await
            }
            Verdict::Dead { class, reason } => {
                self.bury(job, class, &reason).await?;
                self.forget(sequence, reply).await
            }
        }
    }

    async fn stats(&self) -> Result<Stats, Error> {
        let workers = self.workers.get_info().await.map_err(|error| self.failed(error))?;
        let dead = self.info(&self.dead).await?.state.messages;
        let mut age = 0;
        if workers.num_pending > 0 {
            let subject = format!("buttress.{}.job.*", self.config.name);
            let next = workers.delivered.stream_sequence + 1;
            if let Some(oldest) = self.message(&self.jobs, next, subject).await? {
                age = wall_ms(&*self.clock).saturating_sub(time_ms(&oldest));
            }
        }
        let age = u64::try_from(age).unwrap_or_default();
        Ok(Stats::new(workers.num_pending, workers.num_ack_pending as u64, 0, dead, age))
    }
}

impl DeadLetters for NatsQueue {
    async fn dead_letters(&self, at_most: usize) -> Result<Vec<DeadLetter>, Error> {
        let mut letters = Vec::new();
        let mut next = 1;
        while letters.len() < at_most {
            let subject = format!("buttress.{}.dead.*", self.config.name);
            let Some(message) = self.message(&self.dead, next, subject).await? else { break };
            next = message.sequence + 1;
            letters.push(letter(&message)?);
        }
        Ok(letters)
    }

    async fn revive(&self, key: &Key) -> Result<(), Error> {
        let Some(message) = self.message(&self.dead, 1, self.subject("dead", key)).await? else {
            return Err(Error::NoDeadLetter { key: key.to_string() });
        };
        // In this order: a crash between leaves both, and nothing is lost.
        self.publish(key, message.payload).await?;
        self.dead.delete_message(message.sequence).await.map_err(|error| self.failed(error))?;
        Ok(())
    }
}

fn letter(message: &StreamMessage) -> Result<DeadLetter, Error> {
    let header = |name: &str| message.headers.get(name).map_or("", HeaderValue::as_str);
    let name = unhex(message.subject.rsplit('.').next().unwrap_or_default())?;
    let attempts = header(ATTEMPTS).parse().unwrap_or_default();
    let died_at = u64::try_from(time_ms(message)).unwrap_or_default();
    let class = header(CLASS).to_owned();
    Ok(DeadLetter::new(
        key(&name)?,
        message.payload.clone(),
        attempts,
        class,
        unhex(header(REASON))?,
        died_at,
    ))
}

fn time_ms(message: &StreamMessage) -> i64 {
    i64::try_from(message.time.unix_timestamp_nanos() / 1_000_000).unwrap_or_default()
}

/// Two digits a byte: what any text can be written in where only letters and digits are allowed.
fn hex(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::with_capacity(text.len() * 2), |mut written, byte| {
        // Writing to a string cannot fail.
        let _ = write!(written, "{byte:02x}");
        written
    })
}

fn unhex(written: &str) -> Result<String, Error> {
    let corrupt = || Error::Corrupt { problem: format!("`{written}` is no text in hexadecimal") };
    let bytes = (0..written.len())
        .step_by(2)
        .map(|at| written.get(at..at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok()))
        .collect::<Option<Vec<u8>>>()
        .ok_or_else(corrupt)?;
    String::from_utf8(bytes).map_err(|_| corrupt())
}

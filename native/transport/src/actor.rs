//! The task that owns one connection: down until something is to be sent, up until the peer goes away.

use std::future::pending;
use std::io;
use std::path::PathBuf;
use std::time::Instant;

use jsonrpc::{Event, Outcome, Profile, Session};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::sleep_until;

use crate::backoff::Backoff;
use crate::{Command, Settlement, Sink};

const READ_BYTES: usize = 64 * 1024;

/// Why the task left a state.
enum End {
    /// Every [`crate::Connection`] is gone.
    Dropped,
    /// The connection is unusable, with the cause.
    Failed(String),
}

impl From<jsonrpc::ProtocolError> for End {
    fn from(error: jsonrpc::ProtocolError) -> Self {
        Self::Failed(format!("the peer broke the protocol: {error}"))
    }
}

pub(crate) struct Actor<S> {
    path: PathBuf,
    session: Session,
    sink: S,
    commands: mpsc::UnboundedReceiver<Command>,
    events: Vec<Event>,
    backoff: Backoff,
    retry_at: Instant,
    buffer: Vec<u8>,
}

impl<S: Sink> Actor<S> {
    pub(crate) fn new(
        path: PathBuf,
        profile: Profile,
        sink: S,
        commands: mpsc::UnboundedReceiver<Command>,
    ) -> Self {
        Self {
            path,
            session: Session::new(profile),
            sink,
            commands,
            events: Vec::new(),
            backoff: Backoff::new(),
            retry_at: Instant::now(),
            buffer: vec![0; READ_BYTES],
        }
    }

    pub(crate) async fn run(mut self) {
        loop {
            let end = match self.connect().await {
                Ok(stream) => self.converse(&stream).await,
                Err(end) => end,
            };
            match end {
                End::Dropped => return self.lost("the client was closed"),
                End::Failed(cause) => {
                    self.retry_at = Instant::now() + self.backoff.failed();
                    self.lost(&cause);
                }
            }
        }
    }

    /// Waits until something is to be sent and the back-off is over, then makes one attempt.
    async fn connect(&mut self) -> Result<UnixStream, End> {
        while !(self.session.has_waiting() && Instant::now() >= self.retry_at) {
            let retry_at = self.session.has_waiting().then_some(self.retry_at);
            tokio::select! {
                command = self.commands.recv() => self.take(command)?,
                () = until(retry_at) => {}
                () = until(self.session.next_deadline()) => self.expire()?,
            }
        }
        let attempt = UnixStream::connect(&self.path).await;
        attempt.map_err(|error| End::Failed(format!("cannot connect to {}: {error}", self.path.display())))
    }

    async fn converse(&mut self, stream: &UnixStream) -> End {
        loop {
            if let Err(end) = self.step(stream).await {
                return end;
            }
            if let Err(end) = self.report() {
                return end;
            }
        }
    }

    /// Writes what can be written, then waits for one thing to happen.
    async fn step(&mut self, stream: &UnixStream) -> Result<(), End> {
        let interest =
            if self.write(stream)? { Interest::READABLE } else { Interest::READABLE | Interest::WRITABLE };
        tokio::select! {
            command = self.commands.recv() => self.take(command),
            ready = stream.ready(interest) => {
                let ready = ready.map_err(|error| self.failed("wait for", &error))?;
                if ready.is_readable() { self.read(stream) } else { Ok(()) }
            }
            () = until(self.session.next_deadline()) => self.expire(),
        }
    }

    /// True when nothing is left to write.
    fn write(&mut self, stream: &UnixStream) -> Result<bool, End> {
        loop {
            let bytes = self.session.transmit();
            if bytes.is_empty() {
                return Ok(true);
            }
            match stream.try_write(bytes) {
                Ok(count) => self.session.transmitted(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(self.failed("write to", &error)),
            }
        }
    }

    /// Reads all there is, so that an unread reply never costs the peer memory.
    fn read(&mut self, stream: &UnixStream) -> Result<(), End> {
        loop {
            match stream.try_read(&mut self.buffer) {
                Ok(0) => {
                    return Err(End::Failed(format!("{} closed the connection", self.path.display())));
                }
                Ok(count) => self.session.receive(&self.buffer[..count], &mut self.events)?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(self.failed("read from", &error)),
            }
        }
    }

    fn failed(&self, attempt: &str, error: &io::Error) -> End {
        End::Failed(format!("cannot {attempt} {}: {error}", self.path.display()))
    }

    /// Takes in this command and all that came with it, so that they leave together.
    fn take(&mut self, command: Option<Command>) -> Result<(), End> {
        let mut next = Some(command.ok_or(End::Dropped)?);
        while let Some(command) = next {
            match command {
                Command::Submit(requests) => requests.into_iter().for_each(|request| {
                    let params = request.params.as_ref();
                    let accepted = self.session.submit(request.id, &request.method, params, request.deadline);
                    if let Err(error) = accepted {
                        self.sink.settled(request.id, Settlement::Rejected(error));
                    }
                }),
                Command::Forget(id) => self.session.forget(id),
            }
            next = self.commands.try_recv().ok();
        }
        self.sink.flush();
        Ok(self.session.check_window()?)
    }

    fn expire(&mut self) -> Result<(), End> {
        let outcome = self.session.expire(Instant::now(), &mut self.events);
        self.report()?;
        Ok(outcome?)
    }

    /// Settles everything under way, once what arrived before the end is passed on.
    fn lost(&mut self, cause: &str) {
        // Whatever sense the last notifications made, the connection they came by is gone.
        let _ = self.report();
        self.sink.disconnected(cause);
        self.session.disconnected(&mut self.events);
        for event in self.events.drain(..) {
            if let Event::Settled { id, outcome } = event {
                self.sink.settled(id, settlement(outcome, cause));
            }
        }
        self.sink.flush();
    }

    /// Passes on what the session told.
    fn report(&mut self) -> Result<(), End> {
        if self.events.is_empty() {
            return Ok(());
        }
        let mut understood = Ok(());
        for event in self.events.drain(..) {
            match event {
                Event::Notified { method, params } if understood.is_ok() => {
                    understood = self.sink.notified(&method, &params);
                }
                Event::Notified { .. } => {}
                Event::Settled { id, outcome } => {
                    if matches!(outcome, Outcome::Result(_) | Outcome::Error(_)) {
                        self.backoff.succeeded();
                    }
                    self.sink.settled(id, settlement(outcome, "the connection ended"));
                }
            }
        }
        self.sink.flush();
        understood.map_err(|why| End::Failed(format!("the peer broke the protocol: {why}")))
    }
}

fn settlement(outcome: Outcome, cause: &str) -> Settlement {
    match outcome {
        Outcome::Result(result) => Settlement::Result(result),
        Outcome::Error(error) => Settlement::Error(error),
        Outcome::TimedOut(executed) => Settlement::TimedOut(executed),
        Outcome::Lost(executed) => Settlement::Lost { executed, cause: cause.to_owned() },
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant.into()).await,
        None => pending().await,
    }
}

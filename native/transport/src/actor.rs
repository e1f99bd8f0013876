//! The task that owns one connection: down until something is to be sent, up until the peer goes away.

use std::future::pending;
use std::io::{self, Read};
use std::os::unix::net::UnixStream as Socket;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use jsonrpc::{Event, Outcome};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::sleep_until;

use crate::backoff::Backoff;
use crate::line::Line;
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
    line: Arc<Line>,
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
        line: Arc<Line>,
        sink: S,
        commands: mpsc::UnboundedReceiver<Command>,
    ) -> Self {
        Self {
            path,
            line,
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
                Ok(stream) => self.converse(stream).await,
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
        loop {
            let (waiting, due) = {
                let session = &self.line.state().session;
                (session.has_waiting(), session.next_deadline())
            };
            if waiting && Instant::now() >= self.retry_at {
                break;
            }
            let retry_at = waiting.then_some(self.retry_at);
            tokio::select! {
                command = self.commands.recv() => self.take(command)?,
                () = until(retry_at) => {}
                () = until(due) => self.expire()?,
            }
        }
        let attempt = UnixStream::connect(&self.path).await;
        attempt.map_err(|error| End::Failed(format!("cannot connect to {}: {error}", self.path.display())))
    }

    async fn converse(&mut self, stream: UnixStream) -> End {
        let watched = stream.into_std().map(Arc::new).and_then(|socket| {
            self.line.state().socket = Some(Arc::clone(&socket));
            // Not for writing too: the task would wake whenever the peer has read.
            watch(socket, Interest::READABLE)
        });
        let socket = match watched {
            Ok(socket) => socket,
            Err(error) => return self.failed("wait for", &error),
        };
        loop {
            if let Err(end) = self.step(&socket).await {
                return end;
            }
            if let Err(end) = self.report() {
                return end;
            }
        }
    }

    /// Writes what can be written, then waits for one thing to happen.
    async fn step(&mut self, socket: &AsyncFd<Arc<Socket>>) -> Result<(), End> {
        let (written, alarm) = {
            let mut state = self.line.state();
            (state.write(), state.set_alarm())
        };
        let all_written = written.map_err(|error| self.failed("write to", &error))?;
        tokio::select! {
            command = self.commands.recv() => self.take(command),
            ready = socket.readable() => {
                let mut ready = ready.map_err(|error| self.failed("wait for", &error))?;
                let count = ready.get_inner().as_ref().read(&mut self.buffer);
                if is_drained(&count) {
                    ready.clear_ready();
                }
                self.receive(count)
            }
            ready = writable(socket.get_ref()), if !all_written => {
                ready.map_err(|error| self.failed("wait for", &error))
            }
            () = until(alarm) => self.expire(),
        }
    }

    /// Takes in what was read.
    fn receive(&mut self, count: io::Result<usize>) -> Result<(), End> {
        match count {
            Ok(0) => Err(End::Failed(format!("{} closed the connection", self.path.display()))),
            Ok(count) => Ok(self.line.state().session.receive(&self.buffer[..count], &mut self.events)?),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Ok(())
            }
            Err(error) => Err(self.failed("read from", &error)),
        }
    }

    fn failed(&self, attempt: &str, error: &io::Error) -> End {
        End::Failed(format!("cannot {attempt} {}: {error}", self.path.display()))
    }

    /// Takes in this command and all that came with it, so that they leave together.
    fn take(&mut self, command: Option<Command>) -> Result<(), End> {
        let mut next = Some(command.ok_or(End::Dropped)?);
        let mut state = self.line.state();
        let mut taken = 0;
        while let Some(command) = next {
            match command {
                Command::Submit(requests) => requests.into_iter().for_each(|request| {
                    let params = request.params.as_ref();
                    let accepted =
                        state.session.submit(request.id, &request.method, params, request.deadline);
                    if let Err(error) = accepted {
                        self.sink.settled(request.id, Settlement::Rejected(error));
                    }
                }),
                Command::Forget(id) => state.session.forget(id),
            }
            taken += 1;
            next = self.commands.try_recv().ok();
        }
        self.line.taken(taken);
        self.sink.flush();
        Ok(state.session.check_window()?)
    }

    fn expire(&mut self) -> Result<(), End> {
        let outcome = {
            let mut state = self.line.state();
            state.clear_alarm();
            state.session.expire(Instant::now(), &mut self.events)
        };
        self.report()?;
        Ok(outcome?)
    }

    /// Settles everything under way, once what arrived before the end is passed on.
    fn lost(&mut self, cause: &str) {
        // Whatever sense the last notifications made, the connection they came by is gone.
        let _ = self.report();
        self.sink.disconnected(cause);
        self.line.disconnected(&mut self.events);
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

impl<S> Drop for Actor<S> {
    /// Whoever still holds the line finds that nobody reads from it.
    fn drop(&mut self) {
        self.line.disconnected(&mut self.events);
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

/// Less than there was room for is all there is: no need to hear so from the next read.
fn is_drained(count: &io::Result<usize>) -> bool {
    match count {
        Ok(count) => *count < READ_BYTES,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

#[allow(
    deprecated,
    reason = "its successor is unsafe, lest a descriptor be closed too early: a socket owns its own"
)]
fn watch(socket: Arc<Socket>, interest: Interest) -> io::Result<AsyncFd<Arc<Socket>>> {
    AsyncFd::with_interest(socket, interest)
}

async fn writable(socket: &Socket) -> io::Result<()> {
    watch(Arc::new(socket.try_clone()?), Interest::WRITABLE)?.writable().await.map(drop)
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant.into()).await,
        None => pending().await,
    }
}

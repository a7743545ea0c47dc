//! `slipring forward`: joins connections of one kind to connections of another.

mod endpoint;
mod rings;
mod unix_listener;

use std::{
    process::{Command, ExitCode},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};

use endpoint::{Endpoint, Side};

use crate::{
    address::Address,
    backoff::Backoff,
    cleanup::{self, Duty},
    console,
    duplex::{Duplex, Fault, abort_code},
    exit::Status,
    failure::Failure,
    options::StreamArgs,
    relay::{self, Ending, Outcome, Traffic},
    session::Session,
    spawn_with, standard,
    succession::{Estate, Served, Succession},
};

pub const EXAMPLES: &str = "\
Addresses:
  slip:NAME            connect to a slipring name
  slip-listen:NAME     listen at a slipring name
  tcp:HOST:PORT        connect by TCP; an IPv6 address in brackets, as in tcp:[::1]:80
  tcp-listen:HOST:PORT listen for TCP connections; port 0 lets the system choose one
  unix:PATH            connect to a Unix stream socket
  unix-listen:PATH     listen at one; the path is removed at the end
  mmf:IN,OUT[?size=N]  the rings of a C# program in two mapped files: the one to read from and the \
one to write into;
                       of N bytes (K, M or G for powers of 1024), and made if they are not there
  mmf:PATH[?size=N]    one of them: read if it is FROM, written if it is TO
  -                    standard input and output

A listening FROM serves any number of connections at once, each joined to a new one at TO. A \
connecting FROM serves one, and its outcome is the exit code. Each listening address is announced \
on standard error as `listening on ADDRESS`. If both are listening, each connection at FROM waits \
for one at TO.

Either side may end its direction while the other one goes on. If one side is lost or resets, the \
other is closed abortively: TCP with a reset, a slipring stream with abort code 1 (or the code \
that the lost side gave); if TO cannot be reached, with abort code 2; if something fails here, \
with 3.

A server that asks the kernel who is at the other end of a Unix socket (as PostgreSQL does for its \
`peer` authentication) is told the user of this process, not the user on the other side.

If one side is `-`, SIGTERM and SIGHUP end a slipring stream in order, as closing a socket does.

The rings of a C# program have no end: the program's bytes are passed on as long as this runs, and \
it is not told when the other side has finished. One connection at a time can have them.

If FROM is listening, SIGUSR2 replaces this process by a new one of the same program and \
arguments, such as an updated version. No connection is refused: the new one takes the listening \
addresses over, and this one ends with the last connection that it has. Sockets of these addresses \
that a service manager passes (socket activation) are taken over as well.

Examples:
  slipring forward tcp-listen:127.0.0.1:8080 slip:web        # let TCP clients use a slipring server
  slipring forward slip-listen:db tcp:db.example.org:5432    # and the reverse
  slipring forward unix-listen:/run/app.sock slip:app
  slipring forward -v slip-listen:front slip:back --capacity 1M
  slipring forward slip-listen:panel mmf:/dev/shm/quotes,/dev/shm/orders   \
# a C# program behind a name
  slipring forward mmf:/dev/shm/quotes -                                   # show what it writes

Exit code: 0 after a clean end, 3 if a side was lost, 4 if one could not be reached or bound; see \
`slipring --help`.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Where connections come from
    from: Address,

    /// Where they go to
    to: Address,

    /// Say on standard error when a connection starts, and how it ended with how many bytes
    #[arg(short, long)]
    verbose: bool,

    #[command(flatten)]
    stream: StreamArgs,
}

pub fn run(args: Args) -> Result<ExitCode, Failure> {
    // If that is not possible, the present limit has to suffice.
    let limit = slipring::raise_descriptor_limit().ok();
    let (options, timeout) = (args.stream.options(), args.stream.timeout());
    let succession = Succession::begin()?;
    let from = Endpoint::open(&args.from, Side::From, &options, timeout)?;
    let to = Endpoint::open(&args.to, Side::To, &options, timeout)?;
    if to.is_standard() && (from.is_standard() || from.is_listening()) {
        return Err(Failure::new(
            Status::Usage,
            "standard input and output are one connection: write `-` once, and with an address \
                that does not listen",
        ));
    }
    if from.is_standard() || to.is_standard() {
        standard::check_output()?;
    }
    let forward = Arc::new(Forward {
        from,
        to,
        verbose: args.verbose,
    });
    let ((), watch) = cleanup::on_signal(|| Ok(((), forward.duties())))?;
    let announce = || {
        forward.from.announce();
        forward.to.announce();
    };
    if forward.from.is_listening() {
        let _turn = succession.serve(Arc::clone(&forward), limit)?;
        drop(watch);
        announce();
        forward.serve();
        Ok(ExitCode::SUCCESS)
    } else {
        let _watch = watch;
        announce();
        let Some(from) = forward.from.next()? else {
            return Ok(ExitCode::SUCCESS);
        };
        forward.join(1, from).map(|()| ExitCode::SUCCESS)
    }
}

struct Forward {
    from: Endpoint,
    to: Endpoint,
    verbose: bool,
}

impl Estate for Forward {
    fn pass_to(&self, successor: &mut Command) -> Result<(), Failure> {
        self.from.pass_to(successor)?;
        self.to.pass_to(successor)
    }

    fn reclaim(&self) -> Result<(), Failure> {
        self.from.reclaim()?;
        self.to.reclaim()
    }

    /// TO stays open for the connections of FROM that wait there, until the last of them has ended.
    fn retire(&self) {
        self.from.retire();
    }

    fn duties(&self) -> Vec<Duty> {
        let files = [&self.from, &self.to].into_iter().flat_map(Endpoint::files);
        files.map(Duty::Remove).collect()
    }
}

impl Forward {
    /// Serves until the process is ended, or replaced and the last connection has ended; no single
    /// connection ends it.
    fn serve(self: &Arc<Self>) {
        let forward = self;
        let served = Served::new();
        let mut backoff = Backoff::new();
        let mut number = 0;
        loop {
            let from = match forward.from.next() {
                Ok(Some(from)) => from,
                Ok(None) => {
                    served.wait();
                    return forward.to.retire();
                }
                Err(failure) => {
                    backoff.failed(failure);
                    continue;
                }
            };
            backoff.succeeded();
            number += 1;
            let shared = Arc::clone(forward);
            let one = served.one();
            let serve = move |from| {
                // A lost connection is an everyday thing, told with its end if `-v` asks for that.
                if let Err(failure) = shared.join(number, from)
                    && !failure.is_peer_lost()
                {
                    console::log(format_args!("#{number} {failure}"));
                }
                drop(one);
            };
            if let Err((error, from)) =
                spawn_with::spawn_with(format!("connection {number}"), from, serve)
            {
                from.abort(abort_code::FAILED);
                backoff.failed(format_args!("cannot start a thread: {error}"));
            }
        }
    }

    /// Joins one connection at FROM to a new one at TO, until both have ended.
    fn join(&self, number: u64, from: Duplex) -> Result<(), Failure> {
        let (start, peer) = (Instant::now(), from.peer.clone());
        let to = match self.to.next() {
            Ok(Some(to)) => to,
            // It retires after all connections have ended.
            Ok(None) => {
                from.abort(abort_code::UNREACHABLE);
                return Ok(());
            }
            Err(failure) => {
                from.abort(abort_code::UNREACHABLE);
                return Err(failure);
            }
        };
        if self.verbose {
            console::log(format_args!(
                "#{number} {} ({peer}) joined to {} ({})",
                self.from.address, self.to.address, to.peer
            ));
        }
        // As `connect`: SIGTERM and SIGHUP end a stream to standard input and output in order.
        let standard = self.from.is_standard() || self.to.is_standard();
        let closers = [&from, &to]
            .into_iter()
            .filter_map(|side| side.closer.clone());
        let duties: Vec<Duty> = closers.filter(|_| standard).map(Duty::Close).collect();
        let ((), _watch) = cleanup::on_signal(|| Ok(((), duties)))?;
        let traffic = Arc::new(Traffic::default());
        // Like a tool that is ended by SIGPIPE: once nobody reads our output, nothing is left to
        // do.
        let unless_output_closed = |side: &Endpoint| {
            let standard = side.is_standard();
            move |ending: &Ending, session: &Session| {
                if standard && matches!(ending, Ending::NotWanted { .. }) {
                    session.close();
                }
            }
        };
        let (after_forth, after_back) = (
            unless_output_closed(&self.to),
            unless_output_closed(&self.from),
        );
        let outcome = relay::run(from, to, &traffic, after_forth, after_back)
            .map_err(Failure::doing("start copying"))?;
        let result = self.judge(&outcome);
        if self.verbose {
            console::log(format_args!(
                "#{number} ended after {:.2} s, {} bytes forth and {} bytes back: {}",
                start.elapsed().as_secs_f64(),
                traffic.forth.load(Relaxed),
                traffic.back.load(Relaxed),
                result
                    .as_ref()
                    .map_or_else(ToString::to_string, |()| "clean end".to_owned()),
            ));
        }
        result
    }

    /// Of several losses the first one found counts; a failure here only if nothing was lost.
    fn judge(&self, outcome: &Outcome) -> Result<(), Failure> {
        let (from, to) = (&self.from.address, &self.to.address);
        let mut failed = None;
        for (ending, source, sink) in [(&outcome.forth, from, to), (&outcome.back, to, from)] {
            let (fault, side) = match ending {
                Ending::Source(fault) => (fault, source),
                Ending::Sink(fault) => (fault, sink),
                _ => continue,
            };
            match fault {
                Fault::Lost { why, .. } => {
                    return Err(Failure::peer_lost(format!(
                        "lost the connection at {side}: {why}"
                    )));
                }
                Fault::Failed(message) => {
                    failed = Some(Failure::failed(format!("{side}: {message}")))
                }
                Fault::NotReading | Fault::Stopped => {}
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

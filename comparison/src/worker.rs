//! A process that is measured: it makes its end of a connection and carries out orders.

use std::{
    io::{self, BufRead, Write},
    path::PathBuf,
    process::{ExitCode, exit},
    sync::mpsc,
    thread,
};

use rustix::process::{Signal, set_parent_process_death_signal};

use crate::{
    case::{self, Case, Kind},
    clock::Cpu,
    contender, crowd,
    half::Half,
    machine,
    order::{Answer, Order, Report},
    transport::{Place, Transport},
};

/// The hidden subcommand.
#[derive(clap::Args)]
pub struct Args {
    #[arg(long)]
    contender: String,
    #[arg(long)]
    case: String,
    /// where shared files go
    #[arg(long)]
    pub directory: PathBuf,
    /// what the host listens on; without it this is the host
    #[arg(long)]
    pub address: Option<String>,
    /// core of this half
    #[arg(long)]
    cpu: Option<usize>,
    /// core of the other half, if that is a thread
    #[arg(long)]
    other_cpu: Option<usize>,
}

pub fn run(args: &Args) -> ExitCode {
    match work(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Whoever reads it tells the user; if nobody does, there is nobody to tell.
            let _ = say(&Answer::Failed(error.to_string()));
            ExitCode::FAILURE
        }
    }
}

fn work(args: &Args) -> io::Result<()> {
    // A half that spins would not notice that nobody is interested any more.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if let Some(cpu) = args.cpu {
        machine::pin_to(cpu)?;
    }
    let contender =
        contender::by_name(&args.contender).ok_or_else(|| io::Error::other("no such transport"))?;
    let case = case::by_name(&args.case).ok_or_else(|| io::Error::other("no such case"))?;
    contender.transport.work(args, case)
}

/// A transport whose link's type is hidden behind the whole work of a process, so that every
/// measurement is compiled for its own transport and no call goes through a pointer.
pub trait Work: Send + Sync {
    fn work(&self, args: &Args, case: &'static Case) -> io::Result<()>;
}

impl Place {
    fn new(args: &Args, case: &Case) -> Place {
        Place {
            directory: args.directory.clone(),
            size: case.size,
        }
    }
}

impl<T: Transport> Work for T {
    fn work(&self, args: &Args, case: &'static Case) -> io::Result<()> {
        if let Kind::Streams { streams } = case.kind {
            return crowd::work(self, args, case, streams);
        }
        if T::THREADS {
            return threads(self, &Place::new(args, case), args, case);
        }
        let link = connected(self, args, case)?;
        let mut half = Half::new(link, case, Cpu::Process);
        orders(|order| match args.address {
            Some(_) => half.peer(order).map(|report| vec![report]),
            None => half.host(order).map(|report| vec![report]),
        })
    }
}

/// This process's end of a connection, once the other one has its own.
pub fn connected<T: Transport>(transport: &T, args: &Args, case: &Case) -> io::Result<T::Link> {
    let place = Place::new(args, case);
    let link = match &args.address {
        Some(address) => transport.connect(&place, address)?,
        None => transport.host(&place, |address| say(&Answer::Listening(address.into())))?,
    };
    say(&Answer::Connected)?;
    Ok(link)
}

/// Both halves in this process, each on a thread of its own.
fn threads<T: Transport>(
    transport: &T,
    place: &Place,
    args: &Args,
    case: &'static Case,
) -> io::Result<()> {
    let here = transport.host(place, |_| Ok(()))?;
    let (order_sender, order_receiver) = mpsc::channel();
    let (report_sender, report_receiver) = mpsc::channel();
    let peer =
        move |orders: mpsc::Receiver<Order>, reports: mpsc::Sender<Report>| -> io::Result<()> {
            if let Some(cpu) = args.other_cpu {
                machine::pin_to(cpu)?;
            }
            let mut half = Half::new(transport.connect(place, "")?, case, Cpu::Thread);
            while let Ok(order) = orders.recv() {
                if reports.send(half.peer(order)?).is_err() {
                    break;
                }
            }
            Ok(())
        };
    thread::scope(|scope| {
        scope.spawn(move || {
            // The host would wait for ever for a thread that is not there.
            if let Err(error) = peer(order_receiver, report_sender) {
                let _ = say(&Answer::Failed(error.to_string()));
                exit(1);
            }
        });
        say(&Answer::Connected)?;
        let gone = || io::Error::other("the other thread has ended");
        let mut half = Half::new(here, case, Cpu::Thread);
        orders(move |order| {
            order_sender.send(order).map_err(|_| gone())?;
            let here = half.host(order)?;
            Ok(vec![here, report_receiver.recv().map_err(|_| gone())?])
        })
    })
}

/// Carries out orders until there are no more.
pub fn orders(mut carry_out: impl FnMut(Order) -> io::Result<Vec<Report>>) -> io::Result<()> {
    for line in io::stdin().lock().lines() {
        for report in carry_out(serde_json::from_str(&line?)?)? {
            say(&Answer::Done(report))?;
        }
    }
    Ok(())
}

pub fn say(answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(&line)?;
    stdout.flush()
}

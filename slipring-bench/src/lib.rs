//! The benchmark of `slipring bench`, and of the comparison with other libraries: the cases, the
//! processes of a measurement, the ways of measuring, and the reports.
//!
//! A program lists [contenders](contender) and [cases](case), [plans](runner::plan) which takes
//! part in which, and [measures](runner::Runner) them. Of the [figures](figures::Run), which are
//! also those of a JSON document, it makes [tables](table), a [page](page::Page) and a
//! [chart](charts::for_a_document), of one machine or of several side by side. It starts itself
//! anew for each process of a measurement, with [a hidden subcommand](worker::SUBCOMMAND) that it
//! hands over to [`worker::run`].
//!
//! A [`Transport`](transport::Transport) opens one end of a connection, as the host or as its peer.
//! A contender that is not made of such ends implements [`Work`](worker::Work) itself.
//!
//! | module | holds | uses |
//! |---|---|---|
//! | [`clock`], [`date`], [`text`], [`stats`], [`mod@file`] | time, dates, numbers for people, medians, files | nothing here |
//! | [`machine`], [`usage`] | the machine; the resources of a process | `clock` |
//! | [`pattern`], [`scratch`] | the bytes of a verified stream; a directory of one measurement | nothing here |
//! | `channel`, [`case`], [`order`] | messages between processes; the cases | `text` |
//! | [`transport`] | ends of connections: slipring, the kernel's, the bare ones | `channel` |
//! | [`half`] | the work of each half in each kind of case | `transport`, `pattern` |
//! | [`worker`] | a process that is measured, and its orders | `channel`, [`order`] |
//! | `crowd`, `links`, `small_reads`, `subscribed`, `on_tokio` | the work of such a process | `worker`, `half` |
//! | [`contender`], [`contenders`] | the contenders, by name | `worker` |
//! | `team` | the processes of a measurement, from outside | `contender`, `order` |
//! | [`results`], [`verification`] | what was measured; what was only verified | `order` |
//! | [`runner`] | the order of measuring | `team`, [`results`] |
//! | [`figures`] | the results as they are written down | `results` |
//! | [`table`], [`medians`] | the figures as text | `figures` |
//! | `chart`, `palette`, [`charts`], [`page`] | the figures as pictures, and as a page | `table`, `medians` |

pub mod case;
mod channel;
mod chart;
pub mod charts;
pub mod clock;
pub mod contender;
pub mod contenders;
mod crowd;
pub mod date;
pub mod figures;
pub mod file;
pub mod half;
mod links;
pub mod machine;
pub mod medians;
mod on_tokio;
pub mod order;
pub mod page;
mod palette;
pub mod pattern;
pub mod results;
pub mod runner;
pub mod scratch;
mod small_reads;
pub mod stats;
mod subscribed;
pub mod table;
mod team;
pub mod text;
pub mod transport;
pub mod usage;
pub mod verification;
pub mod worker;

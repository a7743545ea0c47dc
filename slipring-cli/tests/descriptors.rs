//! The limit of open descriptors: raised for servers, and given back to their commands.

mod common;

use std::fs;

use common::{Process, Sandbox, WAIT};

/// The soft and the hard limit of a process.
fn limits(process: &Process) -> (String, String) {
    let limits = fs::read_to_string(format!("/proc/{}/limits", process.pid())).unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    let mut fields = line.trim_start_matches("Max open files").split_whitespace();
    let mut next = || fields.next().unwrap().to_owned();
    (next(), next())
}

fn with_soft_limit(sandbox: &Sandbox, arguments: &str) -> Process {
    let script = format!("ulimit -Sn 64; exec \"$SLIPRING\" {arguments}");
    Process::start(&mut sandbox.shell(&script))
}

#[test]
fn servers_raise_their_limit_to_the_hard_one() {
    let sandbox = Sandbox::new();
    for arguments in ["listen -v -k n", "forward slip-listen:n slip:other"] {
        let process = with_soft_limit(&sandbox, arguments);
        process.listening_on();
        let (soft, hard) = limits(&process);
        assert_eq!(soft, hard, "{arguments}");
    }
}

#[test]
fn commands_get_the_limit_as_it_was() {
    for wiring in ["", "--socket"] {
        let sandbox = Sandbox::new();
        let listen = with_soft_limit(
            &sandbox,
            &format!("listen {wiring} n -- sh -c 'ulimit -Sn'"),
        );
        sandbox
            .start(["connect", WAIT, "n"])
            .wait()
            .expect(0)
            .printed("64\n");
        listen.wait().expect(0);
    }
}

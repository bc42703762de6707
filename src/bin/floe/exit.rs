//! How a command ends: 0 when all went well, 1 on failure, 2 on misuse; and when somebody asks it to.

use std::fmt;
use std::process::ExitCode;

/// Why a command did not succeed.
#[derive(Debug)]
pub(crate) enum Exit {
    /// Exit status 2: the command line asks for what there is not.
    Usage(String),
    /// Exit status 1.
    Failure(String),
    /// Exit status 1, and the reason was told already.
    Told,
}

impl Exit {
    pub(crate) fn usage(problem: impl fmt::Display) -> Self {
        Self::Usage(problem.to_string())
    }

    pub(crate) fn failure(problem: impl fmt::Display) -> Self {
        Self::Failure(problem.to_string())
    }

    /// One line on stderr, and the exit status.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::Usage(problem) => {
                eprintln!("floe: {problem}");
                ExitCode::from(2)
            }
            Self::Failure(problem) => {
                eprintln!("floe: {problem}");
                ExitCode::FAILURE
            }
            Self::Told => ExitCode::FAILURE,
        }
    }
}

/// Waits for Ctrl-C or, on Unix, for a request to terminate.
pub(crate) async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    // Without a way to be told, it runs until it is killed.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// On Unix, SIGUSR1: somebody wants to know how it goes.
#[derive(Debug)]
pub(crate) struct Asked {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl Asked {
    pub(crate) fn new() -> Self {
        Self {
            #[cfg(unix)]
            signal: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::user_defined1()).ok(),
        }
    }

    /// Waits for the next time.
    #[cfg_attr(not(unix), expect(clippy::unused_self, reason = "there is no such signal"))]
    pub(crate) async fn again(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal {
            signal.recv().await;
            return;
        }
        std::future::pending::<()>().await;
    }
}

//! `sipwall top`: what goes on, on a screen.

mod draw;
mod gather;
mod model;
mod panels;
mod ui;

use std::{
    io::{IsTerminal as _, stdout},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use filter_user::kernel;
use ipnet::IpNet;
use ratatui::{
    DefaultTerminal,
    crossterm::event::{self, Event, KeyEventKind},
};

use self::{
    gather::Gatherer,
    ui::{Action, Lasting, Ui},
};
use super::refresh::StateDirectory;

/// How often the counters are read.
const EVERY: Duration = Duration::from_secs(1);

/// Watch what passes and what is dropped, and deny who floods
///
/// Needs a terminal of 80×24 or more. Totals are exact; sources are from samples. In the foot line stand the keys.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:
  sipwall top
  sipwall top eth0 --policy /etc/sipwall/policy.toml  # and whether the file is what runs")]
pub(crate) struct Top {
    /// The interfaces; all that have a filter if none is named
    #[arg(value_name = "INTERFACE")]
    interfaces: Vec<String>,
    /// Say whether this policy file is what runs
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    #[command(flatten)]
    state: StateDirectory,
}

impl Top {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let interfaces = if self.interfaces.is_empty() { kernel::attached_interfaces()? } else { self.interfaces };
        if interfaces.is_empty() {
            eprintln!("no filter is attached to any interface");
            return Ok(ExitCode::SUCCESS);
        }
        if !stdout().is_terminal() {
            bail!("`top` needs a terminal\nhint: `sipwall stats --follow` prints");
        }
        let drift = self.policy.map(|file| gather::Drift::new(file, self.state));
        let gatherers = interfaces.iter().map(|interface| Gatherer::new(interface)).collect::<Result<_>>()?;
        let mut screen = Screen { gatherers, drift, shown: 0, ui: Ui::default() };
        let mut terminal = ratatui::try_init()?;
        let ended = screen.run(&mut terminal);
        ratatui::try_restore()?;
        ended.map(|()| ExitCode::SUCCESS)
    }
}

/// The screen, and all that is read for it.
struct Screen {
    gatherers: Vec<Gatherer>,
    drift: Option<gather::Drift>,
    /// Which of the interfaces is shown.
    shown: usize,
    ui: Ui,
}

impl Screen {
    fn run(&mut self, terminal: &mut DefaultTerminal) -> Result<()> {
        let mut model = None;
        loop {
            let due = Instant::now() + EVERY;
            // What is paused is read on, so that nothing is missed.
            self.gatherers.iter_mut().try_for_each(Gatherer::read)?;
            if let Some(drift) = &mut self.drift {
                drift.look(self.gatherers[self.shown].interface());
            }
            if !self.ui.is_paused() {
                model = None;
            }
            while Instant::now() < due {
                let model = model.get_or_insert_with(|| {
                    let drift = self.drift.as_ref().and_then(gather::Drift::text);
                    self.gatherers[self.shown].model(self.ui.span(), self.gatherers.len(), drift)
                });
                self.ui.settle(model);
                terminal.draw(|frame| draw::draw(frame, model, &self.ui))?;
                if !event::poll(due.saturating_duration_since(Instant::now()))? {
                    continue;
                }
                let Event::Key(key) = event::read()? else { continue };
                if key.kind == KeyEventKind::Release {
                    continue;
                }
                match self.ui.press(key, model) {
                    Action::Nothing => {}
                    Action::Quit => return Ok(()),
                    Action::NextInterface => {
                        self.shown = (self.shown + 1) % self.gatherers.len();
                        break;
                    }
                    Action::Gather => break,
                    Action::Deny(prefix, lasting) => self.deny(prefix, lasting),
                }
            }
        }
    }

    fn deny(&mut self, prefix: IpNet, lasting: Lasting) {
        let interface = self.gatherers[self.shown].interface();
        self.ui.say(match kernel::deny_add(interface, &[prefix], lasting.length(), "") {
            Ok(_) => format!("{prefix} is denied on {interface} {}", lasting.text()),
            Err(error) => format!("it is not denied: {error:#}"),
        });
    }
}

#[cfg(test)]
mod tests;

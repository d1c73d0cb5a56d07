//! `sipwall top`: what goes on, on a screen.

mod draw;
mod gather;
mod model;
mod panels;
mod question;
mod ui;

use std::{
    io::{IsTerminal as _, stdout},
    net::IpAddr,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use filter_user::{
    kernel::{self, LiveChange},
    lockout::Cut,
    policy::Cover,
    telemetry::SAMPLES_WAIT,
};
use ipnet::IpNet;
use ratatui::{
    DefaultTerminal,
    crossterm::event::{self, Event, KeyEventKind},
};

use self::{
    gather::Gatherer,
    question::{Lasting, Question, live_allow, words},
    ui::{Action, Ui},
};
use super::{live, refresh::StateDirectory, target::Watched};

/// How often the counters are read.
const EVERY: Duration = Duration::from_secs(1);

/// Watch what passes and what is dropped; deny who floods, let in who should be
///
/// Needs a terminal of 80×24 or more. Totals are exact; sources, networks and ports are from samples. In the foot line
/// stand the keys; arrows select.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:
  sipwall top
  sipwall top eth0 --policy /etc/sipwall/policy.toml  # and whether the file is what runs")]
pub(crate) struct Top {
    #[command(flatten)]
    watched: Watched,
    #[command(flatten)]
    state: StateDirectory,
}

impl Top {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let interfaces = match self.watched.interfaces {
            none if none.is_empty() => kernel::attached_interfaces()?,
            named => named,
        };
        if interfaces.is_empty() {
            eprintln!("no filter is attached to any interface");
            return Ok(ExitCode::SUCCESS);
        }
        if !stdout().is_terminal() {
            bail!("`top` needs a terminal\nhint: `sipwall stats --follow` prints");
        }
        let drift = self.watched.policy.map(|file| gather::Drift::new(file, self.state));
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
                    let place = (self.shown, self.gatherers.len());
                    self.gatherers[self.shown].model(self.ui.by(), self.ui.span(), place, drift)
                });
                self.ui.settle(model);
                terminal.draw(|frame| draw::draw(frame, model, &self.ui))?;
                if !event::poll(due.saturating_duration_since(Instant::now()).min(SAMPLES_WAIT))? {
                    self.gatherers.iter_mut().try_for_each(Gatherer::watch)?;
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
                    Action::Change(question, lasting) => self.change(&question, lasting),
                }
            }
        }
    }

    /// Does what was asked, and says what came of it.
    fn change(&mut self, Question { prefix, change }: &Question, lasting: Lasting) {
        let interface = self.gatherers[self.shown].interface();
        let until = lasting.text();
        let said = match change.matches() {
            None => match deny(interface, *prefix, lasting) {
                Ok(fate) => format!("{prefix} {fate} on {interface} {until}"),
                Err(error) => format!("it is not denied: {error:#}"),
            },
            Some(matches) => {
                let allow = live_allow(*prefix, matches);
                match kernel::allow_add(interface, &allow, lasting.length()) {
                    Ok(_) => format!("{} lets in {} on {interface} {until}", allow.rule(), words(matches)),
                    Err(error) => format!("it is not let in: {error:#}"),
                }
            }
        };
        self.ui.say(said);
    }
}

/// Denies a prefix unless that cuts what this host is in the middle of; what is so from now on.
fn deny(interface: &str, prefix: IpNet, lasting: Lasting) -> Result<&'static str> {
    let change = LiveChange { denied: Cover::new(&[prefix]), ..LiveChange::default() };
    let concerns = |source: IpAddr| prefix.contains(&source);
    if let Some(Cut { subject, .. }) = live::cuts(interface, &change, concerns)?.first() {
        bail!("it would cut {subject}");
    }
    kernel::deny_add(interface, &[prefix], lasting.length(), "denied by `top`")?;
    let is_monitored = kernel::status(interface)?.mode == Some("monitor");
    Ok(if is_monitored { "would be denied (MONITOR)" } else { "is denied" })
}

#[cfg(test)]
mod tests;

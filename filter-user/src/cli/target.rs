//! Interfaces and the policy file on the command line: every command that is about them takes them in the same way, as words
//! or as the options `--interface` and `--policy`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{ArgMatches, Args, Command, FromArgMatches, error::ErrorKind};
use filter_user::kernel;

/// What tells a policy from an interface.
const POLICY_NAMES: &str =
    "a policy's name has a `/`, ends in `.toml` or is that of a file; any other word is an interface";

/// The interfaces that are named; none where all are meant.
#[derive(Clone, Debug)]
pub(crate) struct Interfaces(pub(crate) Vec<String>);

/// The policy file and the interfaces that are named.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) policy: PathBuf,
    /// None where those of the policy are meant.
    pub(crate) interfaces: Vec<String>,
}

/// The interfaces that are named, and the policy file if one is.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    pub(crate) policy: Option<PathBuf>,
    /// None where all are meant.
    pub(crate) interfaces: Vec<String>,
}

#[derive(clap::Args)]
struct InterfaceArguments {
    /// The interfaces; all that have a filter if none is named
    #[arg(value_name = "INTERFACE")]
    interface_words: Vec<String>,
    /// The same, as an option
    #[arg(long = "interface", value_name = "INTERFACE")]
    interface_options: Vec<String>,
}

#[derive(clap::Args)]
struct TargetArguments {
    /// The policy file, and the interfaces; those of the policy's `[sbc] interfaces` if none is named
    #[arg(value_name = "POLICY|INTERFACE", value_hint = clap::ValueHint::FilePath)]
    target_words: Vec<String>,
    /// The policy file, as an option
    #[arg(long = "policy", value_name = "FILE")]
    policy_option: Option<PathBuf>,
    /// An interface, as an option; may be given several times
    #[arg(long = "interface", value_name = "INTERFACE")]
    interface_options: Vec<String>,
}

/// Lets clap read a type by the arguments that it is made of.
macro_rules! read_by {
    ($($type:ident: $arguments:ident),+ $(,)?) => {
        $(
            impl Args for $type {
                fn augment_args(command: Command) -> Command {
                    $arguments::augment_args(command)
                }

                fn augment_args_for_update(command: Command) -> Command {
                    $arguments::augment_args_for_update(command)
                }
            }

            impl FromArgMatches for $type {
                fn from_arg_matches(matches: &ArgMatches) -> clap::error::Result<Self> {
                    $arguments::from_arg_matches(matches)?.try_into()
                }

                fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> clap::error::Result<()> {
                    *self = Self::from_arg_matches(matches)?;
                    Ok(())
                }
            }
        )+
    };
}

read_by!(Interfaces: InterfaceArguments, Watched: TargetArguments, Target: TargetArguments);

impl Interfaces {
    /// Those that are named, else all that have a filter.
    pub(crate) fn or_attached(&self) -> Result<Vec<String>> {
        if self.0.is_empty() { kernel::attached_interfaces() } else { Ok(self.0.clone()) }
    }
}

impl TryFrom<InterfaceArguments> for Interfaces {
    type Error = clap::Error;

    fn try_from(arguments: InterfaceArguments) -> clap::error::Result<Self> {
        let InterfaceArguments { interface_words, interface_options } = arguments;
        Ok(Self(each_once([interface_words, interface_options].concat())))
    }
}

impl TryFrom<TargetArguments> for Watched {
    type Error = clap::Error;

    fn try_from(arguments: TargetArguments) -> clap::error::Result<Self> {
        let TargetArguments { target_words, policy_option, interface_options } = arguments;
        let (policies, interfaces): (Vec<_>, Vec<_>) = target_words.into_iter().partition(|word| is_policy(word));
        let policies: Vec<_> = policies.into_iter().map(PathBuf::from).chain(policy_option).collect();
        match &policies[..] {
            [] | [_] => Ok(Self {
                policy: policies.into_iter().next(),
                interfaces: each_once([interfaces, interface_options].concat()),
            }),
            [one, another, ..] => Err(clap::Error::raw(
                ErrorKind::ArgumentConflict,
                format!("two policy files are named: `{}` and `{}`\n", one.display(), another.display()),
            )),
        }
    }
}

impl TryFrom<TargetArguments> for Target {
    type Error = clap::Error;

    fn try_from(arguments: TargetArguments) -> clap::error::Result<Self> {
        let Watched { policy, interfaces } = arguments.try_into()?;
        let missing = || {
            let message = format!("no policy file is named\nhint: `--policy FILE`, or as a word: {POLICY_NAMES}\n");
            clap::Error::raw(ErrorKind::MissingRequiredArgument, message)
        };
        Ok(Self { policy: policy.ok_or_else(missing)?, interfaces })
    }
}

/// No interface has a slash in its name.
fn is_policy(word: &str) -> bool {
    let path = Path::new(word);
    word.contains('/') || path.extension().is_some_and(|extension| extension == "toml") || path.is_file()
}

/// Whoever names an interface twice means it once.
fn each_once(names: Vec<String>) -> Vec<String> {
    let mut once: Vec<String> = Vec::with_capacity(names.len());
    for name in names {
        if !once.contains(&name) {
            once.push(name);
        }
    }
    once
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use crate::cli::Arguments;

    /// A command, and all below it, by their whole names.
    fn commands(command: &clap::Command, above: &str) -> Vec<(String, clap::Command)> {
        let name = format!("{above} {}", command.get_name()).trim().to_owned();
        let below = command.get_subcommands().flat_map(|below| commands(below, &name)).collect::<Vec<_>>();
        if below.is_empty() { vec![(name, command.clone())] } else { below }
    }

    fn has_option(command: &clap::Command, long: &str) -> bool {
        command
            .get_arguments()
            .any(|argument| argument.get_long_and_visible_aliases().is_some_and(|names| names.contains(&long)))
    }

    /// What its words are, as its usage shows them.
    fn words(command: &clap::Command) -> String {
        let names = command.get_positionals().flat_map(|word| word.get_value_names().unwrap_or_default().to_vec());
        names.map(|name| name.to_string()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn interfaces_and_the_policy_are_taken_in_the_same_way_by_every_command() {
        let all = commands(&Arguments::command(), "");
        assert!(all.len() > 30, "{}", all.len());
        for (name, command) in &all {
            let words = words(command);
            let [interface, policy] = ["interface", "policy"].map(|long| has_option(command, long));
            assert!(!words.contains("INTERFACE") || interface, "`{name}` has no `--interface`");
            assert!(!words.contains("POLICY") || policy, "`{name}` has no `--policy`");
            // Words that are data are nothing else besides.
            let takes_data = !words.is_empty() && !words.contains("INTERFACE") && !words.contains("POLICY");
            if !takes_data {
                assert_eq!(interface, words.contains("INTERFACE"), "`{name}` takes no interface as a word");
            }
            for argument in command.get_opts() {
                let value = argument.get_value_names().unwrap_or_default().first().map_or("", |name| name.as_str());
                assert!(value != "INTERFACE" || interface, "`{name}` has another name for `--interface`");
                let is_policy = argument.get_long() == Some("policy");
                assert!(!is_policy || value == "FILE", "`{name}` calls the value of `--policy` {value}");
            }
        }
    }

    #[test]
    fn what_people_type_is_taken() {
        for line in [
            "attach eth0 policy.toml",
            "attach policy.toml",
            "attach --policy policy.toml --interface eth0 --interface eth1",
            "attach eth0 eth1 --policy policy.toml",
            "apply policy.toml eth0 --confirm 60s",
            "apply eth0 ./policy",
            "diff eth0 policy.toml",
            "diff policy.toml --interface eth0",
            "refresh policy.toml --now",
            "run eth0 /etc/sipwall/policy.toml",
            "top eth0 policy.toml",
            "status --interface eth0",
            "status eth0 eth1",
            "stats --interface eth0",
            "events --interface eth0",
            "confirm --interface eth0",
            "detach --interface eth0",
            "allow list eth0",
            "deny list --interface eth0",
            "explain --interface eth0 udp 192.0.2.1:5060 198.51.100.10:5060",
            "replay capture.pcap policy.toml",
        ] {
            let words = std::iter::once("sipwall").chain(line.split(' '));
            assert!(Arguments::try_parse_from(words).is_ok(), "{line}");
        }
    }

    #[test]
    fn one_policy_is_named_and_no_more() {
        let refused = |line: &str| {
            let words = std::iter::once("sipwall").chain(line.split(' '));
            let error = Arguments::try_parse_from(words).err().unwrap_or_else(|| panic!("{line} is taken"));
            assert_eq!(error.exit_code(), 2, "{line}");
            error.to_string()
        };
        assert!(refused("attach eth0").starts_with("error: no policy file is named\nhint: "));
        let two = "error: two policy files are named: `a.toml` and `b.toml`\n";
        assert!(
            refused("apply a.toml b.toml").starts_with(two) && refused("apply a.toml --policy b.toml").starts_with(two)
        );
        refused("detach --all --interface eth0");
    }
}

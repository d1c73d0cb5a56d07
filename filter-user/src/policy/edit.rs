//! Changing a policy file as a person would: what is not changed keeps its comments, its order and its spacing.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, chown},
    path::{Path, PathBuf},
};

use ipnet::IpNet;
use tempfile::NamedTempFile;
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, Value};

use super::live::{LiveAllow, LiveMatch};
use crate::fault;

/// The `[[deny]]` that prefixes are written into.
const DENIES: &str = "added";

/// Why a policy file cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// The file system refused.
    #[error("`{0}` cannot be changed: {1}")]
    Io(String, io::Error),
    /// It is no TOML.
    #[error("`{0}` is not TOML: {1}")]
    Syntax(String, toml_edit::TomlError),
    /// A key holds something else than a policy has there.
    #[error("`{0}` of the policy is not a list of tables")]
    Shape(&'static str),
    /// An allow of that name is there.
    #[error("the policy has an `[[allow]]` named `{0}` already\nhint: give this one another `--name`")]
    Exists(String),
}

/// A policy file that is being changed; nothing is written before [`PolicyEdit::commit`].
#[derive(Debug)]
pub struct PolicyEdit {
    path: PathBuf,
    document: DocumentMut,
}

impl PolicyEdit {
    /// Reads a policy file.
    ///
    /// # Errors
    /// If it cannot be read or is no TOML.
    pub fn open(path: &Path) -> Result<Self, SaveError> {
        let name = || path.display().to_string();
        // What a link points to is changed, not the link.
        let path = fs::canonicalize(path).map_err(|error| SaveError::Io(name(), error))?;
        let text = fs::read_to_string(&path).map_err(|error| SaveError::Io(name(), error))?;
        let document = text.parse().map_err(|error| SaveError::Syntax(name(), error))?;
        Ok(Self { path, document })
    }

    /// The text as it is to be.
    pub fn text(&self) -> String {
        self.document.to_string()
    }

    /// Adds an `[[allow]]`.
    ///
    /// # Errors
    /// If there is one of that name.
    pub fn add_allow(&mut self, allow: &LiveAllow) -> Result<(), SaveError> {
        let allows = tables(&mut self.document, "allow")?;
        if allows.iter().any(|table| is_named(table, &allow.name)) {
            return Err(SaveError::Exists(allow.name.clone()));
        }
        let mut table = Table::new();
        remark(&mut table, &allow.comment);
        table["name"] = toml_edit::value(allow.name.as_str());
        table["from"] = toml_edit::value(allow.from.iter().map(|prefix| text(*prefix)).collect::<Array>());
        let mut ports = |key: &str, of: fn(&LiveMatch) -> Option<Value>| {
            let values: Array = allow.matches.iter().filter_map(of).collect();
            if !values.is_empty() {
                table[key] = toml_edit::value(values);
            }
        };
        ports("tcp", |matching| match matching {
            LiveMatch::Tcp(ports) => Some(port_value(*ports)),
            _ => None,
        });
        ports("udp", |matching| match matching {
            LiveMatch::Udp(ports) => Some(port_value(*ports)),
            _ => None,
        });
        ports("protocols", |matching| match matching {
            LiveMatch::Protocol(protocol) => Some(i64::from(*protocol).into()),
            _ => None,
        });
        allows.push(table);
        Ok(())
    }

    /// Removes the `[[allow]]` of a name; returns whether there was one.
    ///
    /// # Errors
    /// If `allow` is no list of tables.
    pub fn remove_allow(&mut self, name: &str) -> Result<bool, SaveError> {
        let allows = tables(&mut self.document, "allow")?;
        let before = allows.len();
        allows.retain(|table| !is_named(table, name));
        Ok(allows.len() < before)
    }

    /// Denies prefixes that are not yet stated in a `[[deny]]`, in one of a name of its own.
    ///
    /// # Errors
    /// If `deny` is no list of tables.
    pub fn add_denies(&mut self, prefixes: &[IpNet], comment: &str) -> Result<(), SaveError> {
        let denies = tables(&mut self.document, "deny")?;
        let stated = |prefix: &IpNet| denies.iter().any(|table| from(table).is_some_and(|from| has(from, *prefix)));
        let new: Vec<IpNet> = prefixes.iter().filter(|prefix| !stated(prefix)).copied().collect();
        if new.is_empty() {
            return Ok(());
        }
        if !denies.iter().any(|table| is_named(table, DENIES)) {
            let mut table = Table::new();
            table["name"] = toml_edit::value(DENIES);
            table["from"] = toml_edit::value(Array::new());
            denies.push(table);
        }
        let Some(table) = denies.iter_mut().find(|table| is_named(table, DENIES)) else { return Ok(()) };
        let list = table.entry("from").or_insert_with(|| toml_edit::value(Array::new()));
        let Some(list) = list.as_array_mut() else { return Err(SaveError::Shape("deny.from")) };
        for prefix in new {
            let mut value = Value::from(text(prefix));
            if !comment.is_empty() {
                value.decor_mut().set_prefix(format!("\n    # {}\n    ", comment.escape_debug()));
            } else if !list.is_empty() {
                value.decor_mut().set_prefix(" ");
            }
            list.push_formatted(value);
        }
        if !comment.is_empty() {
            list.set_trailing("\n");
        }
        Ok(())
    }

    /// Removes prefixes from every `[[deny]]` that states them, and a `[[deny]]` that states nothing any more; returns
    /// those that were stated.
    ///
    /// # Errors
    /// If `deny` is no list of tables.
    pub fn remove_denies(&mut self, prefixes: &[IpNet]) -> Result<Vec<IpNet>, SaveError> {
        let denies = tables(&mut self.document, "deny")?;
        let mut removed = Vec::new();
        let mut emptied = Vec::new();
        for table in denies.iter_mut() {
            let Some(list) = table.get_mut("from").and_then(Item::as_array_mut) else {
                emptied.push(false);
                continue;
            };
            let before = list.len();
            removed.extend(prefixes.iter().filter(|prefix| has(list, **prefix)));
            list.retain(|value| !prefixes.iter().any(|prefix| is(value, *prefix)));
            emptied.push(list.is_empty() && before > 0);
        }
        let mut emptied = emptied.into_iter();
        for table in denies.iter_mut() {
            if emptied.next() == Some(true) && table.contains_key("file") {
                table.remove("from");
            }
        }
        denies.retain(|table| from(table).is_none_or(|list| !list.is_empty()));
        Ok(removed)
    }

    /// Puts the file in the place of the one that was read, all at once, with the same owner and mode.
    ///
    /// # Errors
    /// If the file system refuses: then the file is as it was.
    pub fn commit(self) -> Result<(), SaveError> {
        self.replace().map_err(|error| SaveError::Io(self.path.display().to_string(), error))
    }

    fn replace(&self) -> io::Result<()> {
        let was = fs::metadata(&self.path)?;
        let directory = self.path.parent().unwrap_or_else(|| Path::new("/"));
        fault::step();
        let mut file = NamedTempFile::new_in(directory)?;
        file.write_all(self.text().as_bytes())?;
        chown(file.path(), Some(was.uid()), Some(was.gid()))?;
        fs::set_permissions(file.path(), was.permissions())?;
        file.as_file().sync_all()?;
        fault::step();
        file.persist(&self.path)?;
        Ok(())
    }
}

/// The tables of a list, which is made if it is not there.
fn tables<'d>(document: &'d mut DocumentMut, key: &'static str) -> Result<&'d mut ArrayOfTables, SaveError> {
    let item = document.entry(key).or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    item.as_array_of_tables_mut().ok_or(SaveError::Shape(key))
}

fn is_named(table: &Table, name: &str) -> bool {
    table.get("name").and_then(Item::as_str) == Some(name)
}

fn from(table: &Table) -> Option<&Array> {
    table.get("from").and_then(Item::as_array)
}

fn has(list: &Array, prefix: IpNet) -> bool {
    list.iter().any(|value| is(value, prefix))
}

/// Whether a value states this prefix, as a host or as a CIDR.
fn is(value: &Value, prefix: IpNet) -> bool {
    let stated = value.as_str().and_then(|text| {
        let host = text.parse::<std::net::IpAddr>().map(IpNet::from).ok();
        host.or_else(|| text.parse().ok())
    });
    stated == Some(prefix)
}

/// A prefix as a policy states it: a host without its length.
fn text(prefix: IpNet) -> String {
    if prefix.prefix_len() == prefix.max_prefix_len() { prefix.addr().to_string() } else { prefix.to_string() }
}

fn port_value(ports: crate::ports::PortRange) -> Value {
    if ports.first() == ports.last() { i64::from(ports.first()).into() } else { ports.to_string().into() }
}

/// Puts a comment over a table; what would end its line is escaped.
fn remark(table: &mut Table, comment: &str) {
    let comment = if comment.is_empty() { String::new() } else { format!("# {}\n", comment.escape_debug()) };
    table.decor_mut().set_prefix(format!("\n{comment}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = "# mine\n[sbc] # here\n\n[[allow]]\nname = \"ssh\" # keep\nfrom = [\"10.0.0.1\"]\ntcp = [22]\n\n\
                          [[deny]]\nname = \"abuse\"\nfrom = [\"10.0.0.9\", \"10.9.0.0/16\"] # why\n";

    fn edited(change: impl Fn(&mut PolicyEdit)) -> String {
        let mut edit = PolicyEdit { path: PathBuf::new(), document: POLICY.parse().unwrap() };
        change(&mut edit);
        edit.text()
    }

    fn allow() -> LiveAllow {
        LiveAllow {
            name: "vendor".to_owned(),
            from: vec!["192.0.2.7/32".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
            matches: vec![
                LiveMatch::Tcp("22".parse().unwrap()),
                LiveMatch::Tcp("80-90".parse().unwrap()),
                LiveMatch::Protocol(47),
            ],
            expiry: filter_common::live::Expiry::NEVER,
            comment: "a\nvendor".to_owned(),
        }
    }

    #[test]
    fn an_allow_is_added_behind_the_others_and_removed_without_a_trace() {
        let added = edited(|edit| edit.add_allow(&allow()).unwrap());
        let table = "\n# a\\nvendor\n[[allow]]\nname = \"vendor\"\nfrom = [\"192.0.2.7\", \"2001:db8::/32\"]\n\
                     tcp = [22, \"80-90\"]\nprotocols = [47]\n";
        assert_eq!(added, POLICY.replace("\n\n[[deny]]", &format!("\n{table}\n[[deny]]")));
        let removed = edited(|edit| {
            edit.add_allow(&allow()).unwrap();
            assert!(edit.remove_allow("vendor").unwrap() && !edit.remove_allow("vendor").unwrap());
        });
        assert_eq!(removed, POLICY);
        edited(|edit| {
            let twice = LiveAllow { name: "ssh".to_owned(), ..allow() };
            assert!(matches!(edit.add_allow(&twice), Err(SaveError::Exists(name)) if name == "ssh"));
        });
    }

    #[test]
    fn denied_prefixes_are_added_once_and_removed_wherever_they_are() {
        let nets = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpNet>>();
        let added = edited(|edit| {
            edit.add_denies(&nets(&["10.0.0.9/32", "10.0.0.7/32"]), "").unwrap();
            edit.add_denies(&nets(&["10.8.0.0/16"]), "").unwrap();
        });
        assert_eq!(added, format!("{POLICY}\n[[deny]]\nname = \"added\"\nfrom = [\"10.0.0.7\", \"10.8.0.0/16\"]\n"));
        let removed = edited(|edit| {
            assert_eq!(edit.remove_denies(&nets(&["10.0.0.9/32", "10.0.0.7/32"])).unwrap(), nets(&["10.0.0.9/32"]));
        });
        assert!(
            removed.contains("from = [ \"10.9.0.0/16\"] # why") || removed.contains("from = [\"10.9.0.0/16\"] # why")
        );
        let none = edited(|edit| drop(edit.remove_denies(&nets(&["10.0.0.9/32", "10.9.0.0/16"])).unwrap()));
        assert!(!none.contains("[[deny]]") && none.contains("# keep"), "{none}");
    }
}

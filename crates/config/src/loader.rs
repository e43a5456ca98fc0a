//! The layers, from the lowest to the highest, and what comes out of them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use buttress_core::Validate;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Problem};
use crate::file::{self, MAX_DEPTH, MAX_FILE_BYTES, MAX_VALUES};
use crate::loaded::Loaded;
use crate::path::{KeyPath, Step};
use crate::problem;
use crate::repair;
use crate::ser;
use crate::source::Source;
use crate::tree::{Node, Raw, Value};
use crate::variables::{Variables, resolve};

const FILE: u8 = 1;
const ENVIRONMENT_FILE: u8 = 2;
const VARIABLES: u8 = 3;
const FLAGS: u8 = 4;

/// Where a configuration is read from. Each layer overrides the ones before it, key by key; a list is replaced as a
/// whole.
///
/// 1. the type's own `Default`
/// 2. the file
/// 3. the file of the environment, beside it: `docproc.production.toml`
/// 4. environment variables: `DOCPROC_LIMITS__PAGES=50` sets `limits.pages`
/// 5. flags: `limits.pages=50`
///
/// ```
/// use buttress_config::Loader;
/// use buttress_core::{Validate, Violations};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// #[serde(default, deny_unknown_fields)]
/// struct Config { listen: String, pages: u32 }
///
/// impl Default for Config {
///     fn default() -> Self { Self { listen: "127.0.0.1:8080".into(), pages: 100 } }
/// }
///
/// impl Validate for Config {
///     fn validate(&self) -> Result<(), Violations> {
///         let mut wrong = Violations::new();
///         wrong.require(self.pages >= 1, "pages", self.pages, "must be at least 1");
///         wrong.into_result()
///     }
/// }
///
/// let variables = [("DOCPROC_PAGES".to_owned(), "50".to_owned())];
/// let loaded = Loader::new("docproc").variables(variables).flag("listen", "[::]:80").load::<Config>()?;
/// assert_eq!(loaded.value().pages, 50);
/// assert_eq!(loaded.source("pages").unwrap().to_string(), "variable DOCPROC_PAGES");
///
/// let error = Loader::new("docproc").flag("page", "0").load::<Config>().unwrap_err();
/// assert_eq!(error.to_string(), "flag page: unknown key `page`; did you mean `pages`? known here: `listen`, `pages`");
/// # Ok::<(), buttress_config::Error>(())
/// ```
#[derive(Clone)]
pub struct Loader {
    prefix: String,
    embedded: Option<(PathBuf, Arc<str>)>,
    file: Option<(PathBuf, Need)>,
    environment: Option<String>,
    variables: Variables,
    ignored: Vec<String>,
    flags: Vec<(String, Option<String>)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Need {
    Required,
    Optional,
}

// By hand, because variables and flags may hold secrets.
impl std::fmt::Debug for Loader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let file = self.file.as_ref().map(|(path, _)| path);
        f.debug_struct("Loader").field("prefix", &self.prefix).field("file", &file).finish_non_exhaustive()
    }
}

impl Loader {
    /// A loader for the application `name`, so far of nothing but defaults. The name in capitals is the prefix of
    /// its variables.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let prefix = name.replace(|c: char| !c.is_ascii_alphanumeric(), "_").to_ascii_uppercase();
        Self {
            prefix,
            embedded: None,
            file: None,
            environment: None,
            variables: Variables::default(),
            ignored: Vec::new(),
            flags: Vec::new(),
        }
    }

    /// Takes TOML that the program carries with it, below all files; `name` stands for it in messages.
    #[must_use]
    pub fn embedded(mut self, name: impl Into<PathBuf>, toml: impl Into<Arc<str>>) -> Self {
        self.embedded = Some((name.into(), toml.into()));
        self
    }

    /// Reads a TOML file, which must be there.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some((path.into(), Need::Required));
        self
    }

    /// Reads a TOML file, if it is there.
    #[must_use]
    pub fn optional_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some((path.into(), Need::Optional));
        self
    }

    /// Names the environment, whose file lies beside the other: `docproc.production.toml` beside `docproc.toml`.
    /// Without this, the variable `DOCPROC_ENV` names it. The file of an environment that was named must be there.
    #[must_use]
    pub fn environment(mut self, name: impl Into<String>) -> Self {
        self.environment = Some(name.into());
        self
    }

    /// Takes those of `vars` that start with the application's name in capitals: `DOCPROC_…`.
    ///
    /// Two underscores go one table down; letters' case and the choice between `-` and `_` do not matter. A value
    /// becomes what the field asks for; a list is separated by commas, or written as in TOML; an empty value unsets
    /// an optional field. Variables by which Kubernetes announces a service of the same name are left out.
    #[must_use]
    pub fn variables(self, vars: impl IntoIterator<Item = (String, String)>) -> Self {
        let prefix = self.prefix.clone();
        self.env_prefix(&prefix, vars)
    }

    /// The same with another prefix, given without the underscore that follows it.
    #[must_use]
    pub fn env_prefix(mut self, prefix: &str, vars: impl IntoIterator<Item = (String, String)>) -> Self {
        self.variables = Variables::new(prefix, vars);
        self
    }

    /// Takes the variables of this process, as they are now.
    #[must_use]
    pub fn process_variables(self) -> Self {
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        self.variables(std::env::vars_os().map(|(name, value)| (text(name), text(value))))
    }

    /// Leaves out a variable that has the prefix and means something else.
    #[must_use]
    pub fn ignore_variable(mut self, name: impl Into<String>) -> Self {
        self.ignored.push(name.into());
        self
    }

    /// Sets one key above all other layers.
    #[must_use]
    pub fn flag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.flags.push((key.into(), Some(value.into())));
        self
    }

    /// Sets keys by `key=value`, as a command line has them.
    #[must_use]
    pub fn flags<S: AsRef<str>>(mut self, pairs: impl IntoIterator<Item = S>) -> Self {
        self.flags.extend(pairs.into_iter().map(|pair| match pair.as_ref().split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => (key.trim().to_owned(), Some(value.to_owned())),
            _ => (pair.as_ref().to_owned(), None),
        }));
        self
    }

    /// Reads all layers, and checks what comes out.
    pub fn load<T>(&self) -> Result<Loaded<T>, Error>
    where
        T: Serialize + DeserializeOwned + Default + Validate,
    {
        self.build(&self.read()?)
    }

    pub(crate) fn file_path(&self) -> Option<&Path> {
        self.file.as_ref().map(|(path, _)| path.as_path())
    }

    /// The bytes of the files that are there.
    pub(crate) fn read(&self) -> Result<Vec<Input>, Error> {
        let mut inputs = Vec::new();
        if let Some((name, toml)) = &self.embedded {
            if toml.len() > MAX_FILE_BYTES {
                return Err(Error::TooLarge { path: name.clone(), limit: MAX_FILE_BYTES });
            }
            inputs.push(Input { path: name.as_path().into(), bytes: toml.as_bytes().to_vec(), layer: FILE });
        }
        let Some((path, need)) = &self.file else { return Ok(inputs) };
        match read_bounded(path)? {
            Some(bytes) => inputs.push(Input { path: path.as_path().into(), bytes, layer: FILE }),
            None if *need == Need::Optional => {}
            None => {
                let reason =
                    "it was asked for by name: make it, or leave it out to run on the defaults".to_owned();
                return Err(Error::Missing { path: path.clone(), reason });
            }
        }
        if let Some(name) = self.environment.as_deref().or(self.variables.environment()) {
            let path = environment_file(path, name)?;
            let Some(bytes) = read_bounded(&path)? else {
                let asked = match self.environment {
                    Some(_) => format!("environment `{name}` asks for it"),
                    None => format!("variable {} asks for it", self.variables.environment_name()),
                };
                let reason = format!("{asked}: make it, or name no environment");
                return Err(Error::Missing { path, reason });
            };
            inputs.push(Input { path: path.into(), bytes, layer: ENVIRONMENT_FILE });
        }
        Ok(inputs)
    }

    /// Everything after reading: parse, merge, deserialise, validate. No I/O.
    pub(crate) fn build<T>(&self, inputs: &[Input]) -> Result<Loaded<T>, Error>
    where
        T: Serialize + DeserializeOwned + Default + Validate,
    {
        let mut tree = ser::to_tree(&T::default()).map_err(|error| Error::Defaults(error.to_string()))?;
        let mut problems = Vec::new();
        for input in inputs {
            match file::parse(&input.path, &input.bytes, input.layer) {
                Ok(layer) => tree.merge(layer),
                Err(found) => problems.extend(found),
            }
        }
        self.lay_variables(&mut tree, &mut problems);
        self.lay_flags(&mut tree, &mut problems);

        let value: Option<T> = repair::read_all(&mut tree, &mut problems);
        let Some(value) = value else { return Err(invalid(problems)) };
        let shown = ser::to_tree(&value).map_err(|error| Error::Defaults(error.to_string()))?;
        if let Err(violations) = value.validate() {
            for violation in violations.as_slice() {
                let path = KeyPath::parse(&violation.field);
                // A value that did not read has been replaced; that problem is the one to solve.
                let known = |problem: &Problem| {
                    path.is_within(&KeyPath::parse(&problem.key)) && !problem.key.is_empty()
                };
                if !problems.iter().any(known) {
                    problems.push(problem::of_violation(&tree, &shown, violation));
                }
            }
        }
        if problems.is_empty() {
            let files = inputs.iter().map(|input| input.path.clone()).collect();
            Ok(Loaded::new(value, tree, shown, files))
        } else {
            Err(invalid(problems))
        }
    }

    fn lay_variables(&self, tree: &mut Node, problems: &mut Vec<Problem>) {
        let mut variables = self.variables.clone();
        self.ignored.iter().for_each(|name| variables.remove(name));
        for (name, below, value) in variables.settings().take(MAX_VALUES) {
            let source = Source::Env { variable: name.into() };
            let lower = below.to_ascii_lowercase();
            if lower.split("__").any(str::is_empty) {
                let message =
                    "does not name a key; write one name, or several with two underscores between them";
                problems.push(Problem::of_source(source, message));
                continue;
            }
            let path = resolve(tree, lower.split("__"));
            lay(tree, problems, &path, value, source, VARIABLES);
        }
    }

    fn lay_flags(&self, tree: &mut Node, problems: &mut Vec<Problem>) {
        for (name, value) in self.flags.iter().take(MAX_VALUES) {
            let source = Source::Flag { name: name.as_str().into() };
            let path = KeyPath::parse(name);
            let refusal = match value {
                None => Some("is not of the form key=value, such as limits.pages=50".to_owned()),
                _ if path.0.is_empty() => Some("does not name a key; write it as table.key=value".to_owned()),
                _ if path.0.iter().any(|step| matches!(step, Step::Index(_))) => Some(
                    "names one item; a list is replaced as a whole: key=[\"a\", \"b\"] or key=a,b".to_owned(),
                ),
                _ => None,
            };
            match (refusal, value) {
                (Some(message), _) => problems.push(Problem::of_source(source, &message)),
                (None, Some(value)) => {
                    let path = resolve(tree, path.keys());
                    lay(tree, problems, &path, value, source, FLAGS);
                }
                (None, None) => {}
            }
        }
    }
}

/// The bytes of one file, and the layer it makes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Input {
    pub(crate) path: Arc<Path>,
    pub(crate) bytes: Vec<u8>,
    layer: u8,
}

fn lay(tree: &mut Node, problems: &mut Vec<Problem>, path: &KeyPath, value: &str, source: Source, layer: u8) {
    if value.len() > MAX_FILE_BYTES {
        problems.push(Problem::of_source(source, "larger than 1 MiB; move data into a file of its own"));
        return;
    }
    if path.0.len() > MAX_DEPTH {
        problems.push(Problem::of_source(source, "more than 32 tables deep; no configuration is"));
        return;
    }
    let raw = Value::Raw(Raw { text: value.to_owned(), over_text: false });
    let leaf = Node::new(raw, source.clone(), layer);
    let nested = path.keys().rev().fold(leaf, |below, key| {
        Node::new(Value::Table(BTreeMap::from([(key.to_owned(), below)])), source.clone(), layer)
    });
    tree.merge(nested);
}

fn invalid(mut problems: Vec<Problem>) -> Error {
    problems.sort_by(|a, b| a.source.cmp(&b.source));
    problems.dedup();
    Error::Invalid(problems)
}

fn read_bounded(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let failed = |source: std::io::Error| Error::Read { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > MAX_FILE_BYTES {
        return Err(Error::TooLarge { path: path.to_owned(), limit: MAX_FILE_BYTES });
    }
    Ok(Some(bytes))
}

/// `docproc.toml` and `production` to `docproc.production.toml`.
fn environment_file(base: &Path, name: &str) -> Result<PathBuf, Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        let shown: String = name.chars().take(64).collect();
        return Err(Error::EnvironmentName(shown));
    }
    let stem = base.file_stem().unwrap_or_default().to_string_lossy();
    let extension = base.extension().unwrap_or_default().to_string_lossy();
    let dot = if extension.is_empty() { "" } else { "." };
    Ok(base.with_file_name(format!("{stem}.{name}{dot}{extension}")))
}

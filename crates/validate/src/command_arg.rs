//! Arguments for other programs.

use std::ffi::OsStr;

use crate::error::{Code, Invalid};

const WHAT: &str = "argument";

/// The longest single argument of Linux (`MAX_ARG_STRLEN`) less its final NUL, in bytes.
const LONGEST: usize = 131_071;

/// One argument of a program that a user may choose. No NUL, and no dash at its beginning: the program would read an option.
///
/// Give it to [`Command::arg`](std::process::Command::arg), which starts the program without a shell, so blanks, quotes and `;`
/// mean nothing. Not for `cmd.exe`, `.bat` files or anything that hands its arguments to a shell (`ssh`, `sh -c`): those parse again.
///
/// ```
/// use buttress_validate::CommandArg;
/// use std::process::Command;
///
/// let pattern: CommandArg = "$(reboot); x".parse()?;
/// let said = Command::new("echo").arg(&pattern).output()?;
/// assert_eq!(said.stdout, b"$(reboot); x\n");
/// assert!("--output=/etc/passwd".parse::<CommandArg>().is_err());
/// assert_eq!(CommandArg::path("-rf")?.as_str(), "./-rf");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandArg(Box<str>);

text_type!(CommandArg);

impl CommandArg {
    fn check(text: &str) -> Result<Box<str>, Invalid> {
        whole(text)?;
        if text.starts_with('-') {
            let problem = "begins with a dash, which programs read as an option";
            return Err(Invalid::new(WHAT, Code::Option, problem, "begin with another character").at_byte(0));
        }
        Ok(text.into())
    }

    /// The path of a file: one that begins with a dash gets `./` before it.
    ///
    /// # Errors
    ///
    /// It has a NUL, or is too long.
    pub fn path(path: &str) -> Result<Self, Invalid> {
        if path.starts_with('-') { Self::parse(&format!("./{path}")) } else { Self::parse(path) }
    }
}

fn whole(text: &str) -> Result<(), Invalid> {
    if text.len() > LONGEST {
        return Err(Invalid::new(WHAT, Code::TooLong, "is longer than 131071 bytes", "write less"));
    }
    match text.bytes().position(|byte| byte == 0) {
        Some(at) => Err(Invalid::new(WHAT, Code::Control, "has a NUL", "leave it out").at_byte(at)),
        None => Ok(()),
    }
}

impl AsRef<OsStr> for CommandArg {
    fn as_ref(&self) -> &OsStr {
        OsStr::new(self.as_str())
    }
}

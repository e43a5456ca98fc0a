//! Names of tables and columns that come from outside.

use crate::error::{Code, Invalid};

const WHAT: &str = "identifier";

/// The longest of PostgreSQL; `MySQL` takes 64.
const LONGEST: usize = 63;

/// Words that PostgreSQL, SQLite or `MySQL` read as something else where a name may stand, in order.
#[rustfmt::skip]
const RESERVED: [&str; 207] = [
    "abort", "add", "all", "alter", "analyse", "analyze", "and", "any", "array", "as", "asc", "asymmetric", "authorization",
    "before", "between", "bigint", "binary", "blob", "both", "by", "call", "cascade", "case", "cast", "change", "char",
    "character", "check", "collate", "collation", "column", "commit", "concurrently", "condition", "constraint", "continue",
    "convert", "create", "cross", "cube", "current_date", "current_role", "current_time", "current_timestamp", "current_user",
    "cursor", "database", "databases", "dec", "decimal", "declare", "default", "deferrable", "delayed", "delete", "desc",
    "describe", "distinct", "div", "do", "double", "drop", "each", "else", "elseif", "end", "escape", "except", "exclusive",
    "exists", "exit", "explain", "false", "fetch", "float", "for", "force", "foreign", "freeze", "from", "full", "fulltext",
    "function", "generated", "glob", "grant", "group", "grouping", "groups", "having", "if", "ignore", "ilike", "in", "index",
    "indexed", "infile", "initially", "inner", "inout", "insert", "int", "integer", "intersect", "interval", "into", "is",
    "isnull", "iterate", "join", "key", "keys", "kill", "lateral", "leading", "leave", "left", "like", "limit", "lines", "load",
    "localtime", "localtimestamp", "lock", "long", "loop", "match", "mod", "natural", "not", "notnull", "null", "numeric", "of",
    "offset", "on", "only", "optimize", "option", "or", "order", "out", "outer", "over", "overlaps", "partition", "placing",
    "pragma", "precision", "primary", "procedure", "purge", "range", "rank", "read", "real", "recursive", "references", "regexp",
    "release", "rename", "repeat", "replace", "require", "restrict", "return", "returning", "revoke", "right", "rlike", "row",
    "rows", "schema", "select", "session_user", "set", "show", "similar", "smallint", "some", "sql", "symmetric", "system",
    "table", "tablesample", "then", "to", "trailing", "transaction", "trigger", "true", "union", "unique", "unlock", "unsigned",
    "update", "usage", "use", "user", "using", "values", "variadic", "verbose", "when", "where", "window", "with",
];

/// How a database quotes names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Dialect {
    /// `"name"`.
    Postgres,
    /// `"name"`.
    Sqlite,
    /// `` `name` ``.
    Mysql,
}

/// A name in SQL: ASCII letters, digits and `_`, no digit first, at most 63 bytes.
///
/// Values go into parameters; names cannot, so a name from outside (a column to sort by) has to be one of these, and better still
/// one of a list. There is nothing in it that could end a quote.
///
/// ```
/// use buttress_validate::{Dialect, Identifier};
///
/// let column: Identifier = "created_at".parse()?;
/// assert_eq!(format!("ORDER BY {}", column.written(Dialect::Postgres)), "ORDER BY created_at");
/// let column: Identifier = "order".parse()?;
/// assert_eq!(column.written(Dialect::Mysql), "`order`");
/// assert!("id; DROP TABLE users".parse::<Identifier>().is_err());
/// # Ok::<(), buttress_validate::Invalid>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier(Box<str>);

text_type!(Identifier);

impl Identifier {
    fn check(name: &str) -> Result<Box<str>, Invalid> {
        let fail = |code, problem, remedy| Invalid::new(WHAT, code, problem, remedy);
        if name.is_empty() {
            return Err(fail(Code::Empty, "is empty", "name a table or a column"));
        }
        if name.len() > LONGEST {
            return Err(fail(Code::TooLong, "is longer than 63 bytes", "choose a shorter one"));
        }
        let remedy = "use ASCII letters, digits and `_`, and begin with no digit";
        let wrong = |(at, byte): &(usize, u8)| {
            !(byte.is_ascii_alphabetic() || *byte == b'_' || byte.is_ascii_digit() && *at > 0)
        };
        match name.bytes().enumerate().find(wrong) {
            Some((at, _)) => {
                Err(fail(Code::Character, "has a character that is not allowed", remedy).at_byte(at))
            }
            None => Ok(name.into()),
        }
    }

    /// The name in quotes. PostgreSQL takes it as it is written then, upper case and all.
    #[must_use]
    pub fn quoted(&self, dialect: Dialect) -> String {
        let quote = match dialect {
            Dialect::Postgres | Dialect::Sqlite => '"',
            Dialect::Mysql => '`',
        };
        format!("{quote}{}{quote}", self.0)
    }

    /// The name as people write it: in quotes only where it is a reserved word, of any of the databases.
    #[must_use]
    pub fn written(&self, dialect: Dialect) -> String {
        if self.is_reserved() { self.quoted(dialect) } else { self.0.to_string() }
    }

    /// Whether it is a reserved word of any of the databases.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        RESERVED.binary_search(&&*self.0.to_ascii_lowercase()).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_order() {
        assert!(RESERVED.is_sorted_by(|a, b| a < b));
    }
}

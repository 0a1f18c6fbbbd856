//! Asks a person for what is missing, in the schema's words.

use std::io::{self, BufRead, Read as _, Write};

use anyhow::Context as _;
use catalog::schema::{Field, Form};
use serde_json::Value;

use super::given::value;

/// Longer than any answer.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// Asks for one field until the answer fits. `None` if the person leaves it open, or is gone.
pub(super) fn ask(
    field: &Field,
    from: &mut impl BufRead,
    to: &mut impl Write,
) -> anyhow::Result<Option<Value>> {
    loop {
        say(to, &question(field))?;
        let mut answer = String::new();
        let read = from.by_ref().take(ANSWER_BYTES_MAX).read_line(&mut answer).context("read the answer")?;
        let answer = answer.trim();
        if answer.is_empty() {
            say(to, if read == 0 { "\n" } else { "" })?;
            return Ok(None);
        }
        match value(field, answer) {
            Ok(value) => return Ok(Some(value)),
            Err(error) => say(to, &format!("  {error:#}\n"))?,
        }
    }
}

fn question(field: &Field) -> String {
    let form = match field.form {
        Form::Text if !field.choices.is_empty() => format!(" One of {}.", field.choices.join(", ")),
        Form::Texts => " Several are separated by commas.".to_owned(),
        Form::List | Form::Object => " Written in JSON.".to_owned(),
        _ => String::new(),
    };
    format!("\n{}{form}\n{}: ", field.description, field.name())
}

fn say(to: &mut impl Write, text: &str) -> anyhow::Result<()> {
    to.write_all(text.as_bytes()).and_then(|()| to.flush()).or_else(|error| match error.kind() {
        // Whoever does not listen may still answer.
        io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(error).context("ask for what is missing"),
    })
}

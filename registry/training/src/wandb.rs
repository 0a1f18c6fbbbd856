//! What Weights & Biases leaves: `wandb-metadata.json`, and the run log `run-<id>.wandb`, which is all that an offline
//! run has.

mod blocks;
mod record;

use std::io::Read;

use prost::Message as _;

use self::{
    blocks::{Blocks, Next},
    record::{Environment, Item, Record},
};
use crate::{
    LogError,
    json::{self, Scalar, Scalars},
    recorder::{Found, Recorder, fact},
};

pub(crate) use self::blocks::begins;

/// Takes the facts out of `wandb-metadata.json`.
pub(crate) fn metadata(scalars: &Scalars, recorder: &mut Recorder) {
    let text = |name: &str| {
        scalars.iter().find(|it| it.0 == name).and_then(|(_, value)| match value {
            Scalar::Text(text) => Some(text.clone()),
            Scalar::Number(_) => None,
        })
    };
    let args = scalars.iter().filter(|it| it.0 == "args").filter_map(|(_, value)| match value {
        Scalar::Text(text) => Some(text.clone()),
        Scalar::Number(_) => None,
    });
    let environment = Environment {
        os: text("os").unwrap_or_default(),
        python: text("python").unwrap_or_default(),
        args: args.collect(),
        program: text("program").unwrap_or_default(),
        code_path: text("codePath").unwrap_or_default(),
        code_path_local: text("codePathLocal").unwrap_or_default(),
        gpu_type: text("gpu").unwrap_or_default(),
        gpu_count: 0,
        git: Some(record::Git {
            remote_url: text("git.remote").unwrap_or_default(),
            commit: text("git.commit").unwrap_or_default(),
        }),
    };
    ran(&environment, recorder);
    for name in ["startedAt", "heartbeatAt"] {
        recorder.date(&text(name).unwrap_or_default());
    }
}

/// Reads a run log to its end.
pub(crate) fn read_log(log: impl Read, recorder: &mut Recorder) -> Result<(), LogError> {
    let format = recorder.format();
    let mut blocks = Blocks::open(log)?;
    let (mut records, mut too_long) = (0_u64, 0_u64);
    loop {
        match blocks.next()? {
            Next::End => break,
            Next::Cut => {
                recorder.cut(records)?;
                break;
            }
            Next::TooLong => too_long += 1,
            Next::Broken { offset } => {
                let detail = format!("the record at byte {offset} does not match its checksum");
                return Err(LogError::Broken { format, detail });
            }
            Next::Record(bytes) => {
                let record = Record::decode(bytes);
                take(&record.map_err(|it| LogError::Broken { format, detail: it.to_string() })?, recorder);
            }
        }
        records += 1;
    }
    if too_long > 0 {
        recorder.remark(format!(
            "{too_long} of its records are too long to be measurements, and were passed over"
        ));
    }
    Ok(())
}

fn take(record: &Record, recorder: &mut Recorder) {
    if let Some(run) = &record.run {
        recorder.run().run_id = fact(&run.id).or_else(|| recorder.run().run_id.take());
        if let Some(git) = &run.git {
            code(git, recorder);
        }
        settings(run.config.iter().flat_map(|it| &it.update), recorder);
    }
    settings(record.config.iter().flat_map(|it| &it.update), recorder);
    if let Some(environment) = &record.environment {
        ran(environment, recorder);
    }
    let measured = record.history.iter().flat_map(|it| &it.item);
    for item in measured.chain(record.summary.iter().flat_map(|it| &it.update)) {
        let name = item.name();
        match json::lenient(&item.value_json) {
            Some(serde_json::Value::Number(number)) => {
                recorder.take(&name, Found::Number(number.as_f64().unwrap_or(f64::NAN)));
            }
            Some(serde_json::Value::String(text)) => recorder.take(&name, Found::Text(&text)),
            _ => {}
        }
    }
    if let Some(exit) = record.exit.as_ref().filter(|it| it.runtime > 0) {
        recorder.duration(f64::from(exit.runtime));
    }
}

/// Takes the seed out of a run's settings; the others are its author's business.
fn settings<'i>(items: impl Iterator<Item = &'i Item>, recorder: &mut Recorder) {
    for item in items.filter(|it| it.name() == "seed") {
        if let Some(seed) = json::lenient(&item.value_json).and_then(|it| it.as_f64()) {
            recorder.take("seed", Found::Number(seed));
        }
    }
}

fn ran(environment: &Environment, recorder: &mut Recorder) {
    if let Some(git) = &environment.git {
        code(git, recorder);
    }
    let run = recorder.run();
    let named = [&environment.code_path_local, &environment.code_path, &environment.program];
    // `<python>` is what a session without a file is called.
    let program = named.into_iter().find(|it| !it.is_empty() && !it.starts_with('<'));
    if let Some(program) = program {
        let words =
            ["python", program.as_str()].into_iter().chain(environment.args.iter().map(String::as_str));
        run.command = fact(&words.map(shell_word).collect::<Vec<_>>().join(" "));
    }
    let python = environment.python.strip_prefix("CPython ").unwrap_or(&environment.python);
    let python = (!python.is_empty()).then(|| format!("Python {python}"));
    let system = (!environment.os.is_empty()).then(|| environment.os.clone());
    let both = [python, system].into_iter().flatten().collect::<Vec<_>>().join(" on ");
    run.environment = fact(&both).or_else(|| run.environment.take());
    if let Some(gpu) = fact(&environment.gpu_type) {
        let count = environment.gpu_count;
        run.hardware = Some(if count > 1 { format!("{count}x {gpu}") } else { gpu });
    }
}

fn code(git: &record::Git, recorder: &mut Recorder) {
    let run = recorder.run();
    run.repository = fact(&git.remote_url).or_else(|| run.repository.take());
    run.commit = fact(&git.commit).or_else(|| run.commit.take());
}

/// Quotes a word for a shell, where it has to be.
fn shell_word(word: &str) -> String {
    let plain = |it: u8| it.is_ascii_alphanumeric() || b"-_./=:,@%+".contains(&it);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

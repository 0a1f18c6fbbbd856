//! YAML: the config of a W&B run, Lightning's `hparams.yaml`, results of any tool.

use std::io::Read;

use serde_json::Value;

use crate::{
    Format, LogError,
    recorder::{Found, Recorder},
};

/// Longer configs are none.
const BYTES_MAX: u64 = 4 << 20;

pub(crate) fn read(log: impl Read, recorder: &mut Recorder) -> Result<(), LogError> {
    let format = recorder.format();
    let mut bytes = Vec::new();
    log.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(LogError::Broken { format, detail: format!("it is longer than {BYTES_MAX} bytes") });
    }
    let text =
        std::str::from_utf8(&bytes).map_err(|it| LogError::NotText { offset: it.valid_up_to() as u64 })?;
    let value = match serde_saphyr::from_str::<Value>(text) {
        Ok(value) => value,
        // Lines such as `step 1: loss: 2` look like YAML from afar.
        Err(_) if format == Format::Yaml => {
            recorder.is_rather(Format::Text);
            return crate::text::read(bytes.as_slice(), recorder);
        }
        Err(error) => return Err(LogError::Broken { format, detail: error.to_string() }),
    };
    for (name, value) in value.as_object().into_iter().flatten() {
        // W&B wraps each setting with its description.
        let value = if format == Format::WandbConfig { value.get("value").unwrap_or(value) } else { value };
        match value {
            Value::Number(number) => {
                if let Some(number) = number.as_f64() {
                    recorder.take(name, Found::Number(number));
                }
            }
            Value::String(text) => recorder.take(name, Found::Text(text)),
            _ => {}
        }
    }
    Ok(())
}

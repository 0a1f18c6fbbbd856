//! What is known of a training run.

use std::{collections::BTreeMap, fmt};

use base::UnixSeconds;
use serde::Serialize;

/// What a log says about a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Run {
    /// What the log is.
    pub format: Format,
    /// The last value of each metric, under the name that the log gives it.
    pub metrics: BTreeMap<String, f64>,
    /// Metrics whose last value is no number.
    pub left_out: Vec<LeftOut>,
    /// What identifies the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// When the last of it was written, as the run's machine told the time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written_at: Option<UnixSeconds>,
    /// How long it took, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
    /// The seed of the random number generator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// The command that was run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The software it ran with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// What it ran on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hardware: Option<String>,
    /// The repository of the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The commit of the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// What a reader should know besides, such as that the log ends in the middle.
    pub remarks: Vec<String>,
}

/// A metric that was kept out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Its name.
    pub name: String,
    /// What stands there in place of a number.
    pub value: &'static str,
}

/// What a log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// `trainer_state.json` of the Hugging Face Trainer.
    TrainerState,
    /// The dicts that the Hugging Face Trainer prints.
    TrainerPrint,
    /// A table with a row for each step, as Lightning's `CSVLogger` writes it.
    Csv,
    /// `wandb-summary.json` of Weights & Biases.
    WandbSummary,
    /// `wandb-metadata.json` of Weights & Biases.
    WandbMetadata,
    /// `config.yaml` of Weights & Biases.
    WandbConfig,
    /// `run-<id>.wandb` of Weights & Biases.
    WandbLog,
    /// An event file of TensorBoard.
    TensorBoard,
    /// One JSON object in each line.
    JsonLines,
    /// One JSON object.
    Json,
    /// YAML.
    Yaml,
    /// Lines with `key=value` or `key: value`.
    Text,
}

impl fmt::Display for Format {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::TrainerState => "the Hugging Face Trainer's state",
            Self::TrainerPrint => "the Hugging Face Trainer's output",
            Self::Csv => "a table of steps in CSV",
            Self::WandbSummary => "a Weights & Biases summary",
            Self::WandbMetadata => "Weights & Biases metadata",
            Self::WandbConfig => "a Weights & Biases config",
            Self::WandbLog => "a Weights & Biases run log",
            Self::TensorBoard => "a TensorBoard event file",
            Self::JsonLines => "JSON lines",
            Self::Json => "JSON",
            Self::Yaml => "YAML",
            Self::Text => "text",
        })
    }
}

impl Run {
    /// Returns the metric that the log's own names mean by a usual one: `loss`, `accuracy` or `perplexity`; its name
    /// first. Of several, the one nearest to the end of training, for accuracy and perplexity the one on held-out data.
    pub fn usual(&self, name: Usual) -> Option<(&str, f64)> {
        let found = name.candidates().iter().find_map(|candidate| {
            let same = |it: &&String| crate::names::plain(it) == *candidate;
            self.metrics.keys().find(same)
        });
        found.map(|it| (it.as_str(), self.metrics[it]))
    }
}

/// The metrics that nearly every run has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usual {
    /// What training made small.
    Loss,
    /// The share of right answers.
    Accuracy,
    /// How little a text surprises the model.
    Perplexity,
}

impl Usual {
    /// Lists names in the form of [`crate::names::plain`], the likeliest first.
    fn candidates(self) -> &'static [&'static str] {
        match self {
            Self::Loss => &[
                "loss",
                "train_loss",
                "training_loss",
                "loss_epoch",
                "train_loss_epoch",
                "loss_step",
                "train_loss_step",
            ],
            Self::Accuracy => &[
                "accuracy",
                "test_accuracy",
                "eval_accuracy",
                "val_accuracy",
                "valid_accuracy",
                "validation_accuracy",
                "dev_accuracy",
                "acc",
                "test_acc",
                "eval_acc",
                "val_acc",
                "valid_acc",
                "validation_acc",
                "dev_acc",
            ],
            Self::Perplexity => &[
                "perplexity",
                "test_perplexity",
                "eval_perplexity",
                "val_perplexity",
                "valid_perplexity",
                "validation_perplexity",
                "ppl",
                "test_ppl",
                "eval_ppl",
                "val_ppl",
                "valid_ppl",
                "validation_ppl",
            ],
        }
    }
}

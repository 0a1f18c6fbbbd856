//! What the names in a log mean.

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// A measurement, as far as a name can tell.
    Metric,
    /// A name that is a measurement's only where nothing else is written: `batch_size`, `port`, anything.
    Unclear,
    /// The bookkeeping of a run: steps, rates, speeds.
    Bookkeeping,
    /// When it was written.
    Time,
    /// How long it took.
    Duration,
    /// The seed.
    Seed,
    /// The run's id.
    RunId,
}

/// Writes a name without what differs between tools: in lower case, with `_` between its words.
pub(crate) fn plain(name: &str) -> String {
    name.trim_matches('_')
        .chars()
        .map(|it| if it.is_alphanumeric() { it.to_ascii_lowercase() } else { '_' })
        .collect()
}

/// Tells what a name stands for.
pub(crate) fn meaning(name: &str) -> Meaning {
    let plain = plain(name);
    let last = name.rsplit('/').next().map(self::plain).unwrap_or_default();
    let words = plain.split('_').filter(|it| !it.is_empty()).collect::<Vec<_>>();
    match last.as_str() {
        "run_id" | "runid" => return Meaning::RunId,
        "seed" => return Meaning::Seed,
        "timestamp" | "wall_time" | "datetime" | "ts" | "time" | "date" => return Meaning::Time,
        "runtime" | "train_runtime" => return Meaning::Duration,
        "step"
        | "steps"
        | "global_step"
        | "epoch"
        | "epochs"
        | "iter"
        | "iteration"
        | "iterations"
        | "total_flos"
        | "num_input_tokens_seen"
        | "step_time"
        | "elapsed"
        | "eta" => return Meaning::Bookkeeping,
        _ => {}
    }
    let ends = |it: &str| last.ends_with(it);
    let begins = |it: &str| last == it || last.starts_with(&format!("{it}_"));
    if ends("_per_second")
        || ends("_runtime")
        || ends("_step_time")
        || ends("learning_rate")
        || begins("lr")
        || ends("_lr")
        || ends("grad_norm")
        || begins("lr")
        || ends("_samples")
        || ends("_tokens")
    {
        return Meaning::Bookkeeping;
    }
    if words.iter().any(|it| is_metric_word(it)) { Meaning::Metric } else { Meaning::Unclear }
}

fn is_metric_word(word: &str) -> bool {
    let stem = word.trim_end_matches(|it: char| it.is_ascii_digit());
    matches!(
        stem,
        "loss"
            | "acc"
            | "accuracy"
            | "perplexity"
            | "ppl"
            | "f"
            | "auc"
            | "auroc"
            | "auprc"
            | "roc"
            | "precision"
            | "recall"
            | "bleu"
            | "sacrebleu"
            | "rouge"
            | "rougel"
            | "meteor"
            | "chrf"
            | "ter"
            | "wer"
            | "cer"
            | "mse"
            | "rmse"
            | "mae"
            | "mape"
            | "r"
            | "map"
            | "mrr"
            | "ndcg"
            | "hits"
            | "iou"
            | "miou"
            | "dice"
            | "psnr"
            | "ssim"
            | "lpips"
            | "fid"
            | "kl"
            | "nll"
            | "bpc"
            | "bpb"
            | "mcc"
            | "matthews"
            | "pearson"
            | "spearman"
            | "spearmanr"
            | "kappa"
            | "eer"
            | "error"
            | "err"
            | "score"
            | "reward"
            | "return"
            | "em"
            | "exact"
            | "top"
            | "entropy"
            | "bits"
            | "likelihood"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_metrics_from_bookkeeping() {
        let check = |names: &[&str], expected: Meaning| {
            for name in names {
                assert_eq!(meaning(name), expected, "{name}");
            }
        };
        check(
            &["loss", "train/loss", "eval_accuracy", "val.f1", "rougeL", "Rouge-1", "top5_acc", "R2"],
            Meaning::Metric,
        );
        check(&["batch_size", "port", "num_layers", "hidden_size"], Meaning::Unclear);
        check(
            &[
                "step",
                "train/global_step",
                "epoch",
                "lr",
                "lr-Adam",
                "learning_rate",
                "train/grad_norm",
                "total_flos",
            ],
            Meaning::Bookkeeping,
        );
        check(&["eval_runtime", "train_samples_per_second", "_step", "head_lr"], Meaning::Bookkeeping);
        check(&["_timestamp", "ts", "time"], Meaning::Time);
        check(&["_runtime", "train_runtime", "train/train_runtime"], Meaning::Duration);
        check(&["seed"], Meaning::Seed);
        check(&["run_id", "runId"], Meaning::RunId);
    }
}

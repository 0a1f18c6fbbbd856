//! The grammar of selectors, with errors that point at the character.

use winnow::{
    ModalResult, Parser,
    combinator::{alt, cut_err, delimited, eof, fail, opt, preceded, repeat, separated, terminated},
    error::{ContextError, StrContext, StrContextValue},
    token::{none_of, one_of, take_while},
};

use super::{
    Agg, CONDITIONS_MAX, Condition, Op, Path, Root, STEPS_MAX, Selector, Step, TEXT_BYTES_MAX, TX_FIELDS,
    WORD_BYTES_MAX,
};

/// Why a text is no selector. The second line of its text has a caret under the character.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{expected}\n{text}\n{:>1$}", "^", .column)]
pub struct SelectorError {
    /// The text that was read, shortened if it is far too long.
    pub text: String,
    /// Where it stopped being a selector, in characters from 1.
    pub column: usize,
    /// What would have been right there.
    pub expected: String,
}

pub(super) fn selector(text: &str) -> Result<Selector, SelectorError> {
    if text.len() > TEXT_BYTES_MAX {
        let expected = format!("a selector has at most {TEXT_BYTES_MAX} bytes, this one has {}", text.len());
        let start: String = text.chars().take(WORD_BYTES_MAX).collect();
        return Err(SelectorError { column: start.chars().count() + 1, text: start, expected });
    }
    terminated(whole, end).parse(text).map_err(|error| SelectorError {
        text: text.to_owned(),
        column: text[..error.char_span().start].chars().count() + 1,
        expected: describe(error.inner()),
    })
}

fn describe(error: &ContextError) -> String {
    // The innermost comes first, and knows best.
    let innermost = error.context().find_map(|context| match context {
        StrContext::Expected(value) => Some(format!("expected {value}")),
        _ => None,
    });
    innermost.unwrap_or_else(|| "not a selector".to_owned())
}

fn wanted(what: &'static str) -> StrContext {
    StrContext::Expected(StrContextValue::Description(what))
}

fn end(input: &mut &str) -> ModalResult<()> {
    eof.void().context(wanted("the end, `.` or `[`")).parse_next(input)
}

fn whole(input: &mut &str) -> ModalResult<Selector> {
    let function = opt(terminated(function, '(')).parse_next(input)?;
    let path = path.parse_next(input)?;
    if function.is_some() {
        cut_err(')').context(wanted("`)`")).parse_next(input)?;
    }
    Ok(Selector { function, path })
}

fn function(input: &mut &str) -> ModalResult<Agg> {
    let name = take_while(1.., |it: char| it.is_ascii_lowercase());
    name.verify_map(|name| Agg::parse(name).filter(|it| *it != Agg::Hist)).parse_next(input)
}

fn path(input: &mut &str) -> ModalResult<Path> {
    let root = take_while(1.., |it: char| it.is_ascii_alphanumeric() || it == '_' || it == '-');
    let before = *input;
    let root = cut_err(root).context(wanted("meta, tag, tx, rel, blk, time or txid")).parse_next(input)?;
    match root {
        "txid" => Ok(Path::TxId),
        "time" => Ok(Path::Time),
        "blk" => cut_err(".height".value(Path::Height)).context(wanted("`.height`")).parse_next(input),
        "rel" => {
            let lists = alt((
                ".parents".value(Path::Parents),
                ".parent".value(Path::Parents),
                ".children".value(Path::Children),
            ));
            cut_err(lists).context(wanted("`.parents` or `.children`")).parse_next(input)
        }
        "meta" => fields(Root::Meta, input),
        "tag" => fields(Root::Tag, input),
        "tx" => fields(Root::Tx, input),
        _ => {
            *input = before;
            cut_err(fail).context(wanted("meta, tag, tx, rel, blk, time or txid")).parse_next(input)
        }
    }
}

fn fields(root: Root, input: &mut &str) -> ModalResult<Path> {
    let filter = filter(root, input)?;
    let start = *input;
    let step = preceded('.', move |input: &mut &str| {
        let name = field(root, start.len() == input.len() + 1, input)?;
        Ok(Step { name, filter: self::filter(Root::Meta, input)? })
    });
    let steps: Vec<Step> = cut_err(repeat(1.., step)).context(wanted("`.` and a name")).parse_next(input)?;
    if steps.len() > STEPS_MAX {
        cut_err(fail::<_, (), _>).context(wanted("at most 16 steps")).parse_next(input)?;
    }
    Ok(Path::Fields { root, filter, steps })
}

/// A name; the first one after `tx` is one of the event's own fields.
fn field(root: Root, is_first: bool, input: &mut &str) -> ModalResult<String> {
    if root == Root::Tx && is_first {
        let known = name.verify(|name: &String| TX_FIELDS.contains(&name.as_str()));
        return cut_err(known).context(wanted("kind, pubkey, id or value")).parse_next(input);
    }
    cut_err(name).context(wanted("a name")).parse_next(input)
}

fn filter(root: Root, input: &mut &str) -> ModalResult<Vec<Condition>> {
    let condition = |input: &mut &str| condition(root, input);
    let conditions = separated(1..=CONDITIONS_MAX, condition, ',');
    let closing = cut_err(']').context(wanted("`]`, or `,` and one of at most 4 conditions"));
    let filter = opt(delimited('[', conditions, closing)).parse_next(input)?;
    Ok(filter.unwrap_or_default())
}

fn condition(root: Root, input: &mut &str) -> ModalResult<Condition> {
    let name = field(root, true, input)?;
    let sign = alt(Op::ALL.map(Op::sign)).verify_map(Op::parse);
    let op = cut_err(sign).context(wanted("one of = != < <= > >=")).parse_next(input)?;
    let bare = take_while(1..=WORD_BYTES_MAX, is_bare_char).map(str::to_owned);
    let literal = cut_err(alt((bare, quoted))).context(wanted("a value")).parse_next(input)?;
    Ok(Condition { name, op, literal })
}

fn name(input: &mut &str) -> ModalResult<String> {
    alt((ident, quoted)).parse_next(input)
}

fn ident(input: &mut &str) -> ModalResult<String> {
    let word = (one_of(is_ident_start), take_while(0..WORD_BYTES_MAX, is_ident_char)).take();
    word.map(str::to_owned).parse_next(input)
}

fn quoted(input: &mut &str) -> ModalResult<String> {
    let escaped = preceded('\\', cut_err(one_of(['"', '\\'])).context(wanted("`\\\"` or `\\\\`")));
    let text = repeat(0.., alt((none_of(['"', '\\']), escaped)));
    delimited('"', text, cut_err('"').context(wanted("a closing `\"`"))).parse_next(input)
}

fn is_ident_start(it: char) -> bool {
    it.is_ascii_alphabetic() || it == '_'
}

fn is_ident_char(it: char) -> bool {
    it.is_ascii_alphanumeric() || it == '_' || it == '-'
}

fn is_bare_char(it: char) -> bool {
    it.is_ascii_alphanumeric() || "_-.+:/".contains(it)
}

/// Says whether a name needs no quotes.
pub(super) fn is_ident(word: &str) -> bool {
    word.len() <= WORD_BYTES_MAX && word.starts_with(is_ident_start) && word.chars().all(is_ident_char)
}

/// Says whether a value needs no quotes.
pub(super) fn is_bare(word: &str) -> bool {
    (1..=WORD_BYTES_MAX).contains(&word.len()) && word.chars().all(is_bare_char)
}

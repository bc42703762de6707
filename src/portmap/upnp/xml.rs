//! A walk through a document without keeping it: names of elements, and the text of those that hold nothing else.
//! Entities are the five of XML and characters by number; a DTD is refused, so that none can be made.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;

use crate::portmap::event::Problem;

/// More levels make no sense.
const MAX_DEPTH: usize = 32;
/// The text of an element is cut there: no URL and no number is longer.
const MAX_TEXT: usize = 1025;

const MALFORMED: Problem = Problem::Malformed("XML");

/// What is met on the way; names are without their prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// An element begins.
    Open(&'a str),
    /// One ends, and this is the text in it, without blanks around.
    Close(&'a str, &'a str),
}

/// Visits all elements of `text` in their order.
pub(super) fn walk(text: &str, mut visit: impl FnMut(Step<'_>)) -> Result<(), Problem> {
    let mut reader = Reader::from_str(text);
    let mut inner = String::new();
    let (mut depth, mut elements) = (0_usize, 0_usize);
    loop {
        match reader.read_event().map_err(|_| MALFORMED)? {
            Event::Start(tag) => {
                (depth, elements) = (depth + 1, elements + 1);
                if depth > MAX_DEPTH {
                    return Err(MALFORMED);
                }
                inner.clear();
                visit(Step::Open(tag.local_name().into_inner()));
            }
            Event::End(tag) => {
                depth = depth.saturating_sub(1);
                visit(Step::Close(tag.local_name().into_inner(), inner.trim()));
                inner.clear();
            }
            Event::Empty(tag) => {
                elements += 1;
                let name = tag.local_name();
                visit(Step::Open(name.into_inner()));
                visit(Step::Close(name.into_inner(), ""));
            }
            Event::Text(text) => push(&mut inner, &text.into_inner()),
            Event::CData(text) => push(&mut inner, &text.into_inner()),
            Event::GeneralRef(entity) => {
                if let Some(character) = entity.resolve_char_ref().map_err(|_| MALFORMED)? {
                    push(&mut inner, character.encode_utf8(&mut [0; 4]));
                } else {
                    push(&mut inner, resolve_predefined_entity(&entity.into_inner()).ok_or(MALFORMED)?);
                }
            }
            Event::DocType(_) => return Err(MALFORMED),
            Event::Eof => return if depth == 0 && elements > 0 { Ok(()) } else { Err(MALFORMED) },
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
}

fn push(inner: &mut String, text: &str) {
    let room = MAX_TEXT.saturating_sub(inner.len());
    inner.extend(text.chars().take(room));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(xml: &str) -> Result<Vec<String>, Problem> {
        let mut texts = Vec::new();
        walk(xml, |step| {
            if let Step::Close(name, text) = step {
                texts.push(format!("{name}={text}"));
            }
        })
        .map(|()| texts)
    }

    #[test]
    fn elements_come_with_their_text_and_without_prefix() {
        let xml = "<?xml version=\"1.0\"?><s:a xmlns:s=\"u\"><!-- x --><b> 1 &amp;&#x32;&lt; </b><s:c/><d><![CDATA[<&>]]></d></s:a>";
        assert_eq!(texts(xml).unwrap(), ["b=1 &2<", "c=", "d=<&>", "a="]);
    }

    #[test]
    fn what_is_no_xml_or_tries_to_blow_up_is_refused() {
        let deep = "<a>".repeat(40) + &"</a>".repeat(40);
        let bomb = "<!DOCTYPE a [<!ENTITY b \"x\"><!ENTITY c \"&b;&b;\">]><a>&c;</a>";
        for xml in ["", "text", "<a>", "<a></b>", "</a>", "<a>&c;</a>", "<a>&#xffffffff;</a>", &deep, bomb] {
            assert_eq!(texts(xml), Err(MALFORMED), "{xml}");
        }
    }

    #[test]
    fn the_text_of_an_element_is_cut() {
        let texts = texts(&format!("<a>{}</a>", "x".repeat(60_000))).unwrap();
        assert_eq!(texts[0].len(), "a=".len() + MAX_TEXT);
    }
}

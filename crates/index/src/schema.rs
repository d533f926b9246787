//! The fields of the index, and how texts are cut into words.

use crate::doc::Source;
use althing_overlay::search::words::{Word, words};
use tantivy::Term;
use tantivy::schema::{
    BytesOptions, Field, IndexRecordOption, NumericOptions, Schema, TextFieldIndexing, TextOptions,
};
use tantivy::tokenizer::{TextAnalyzer, Token, TokenStream, Tokenizer, TokenizerManager};

/// The name by which fields ask for the tokenizer.
const TOKENIZER: &str = "althing";

/// What a document of the index is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Listing,
    Passage,
}

impl Kind {
    pub(crate) const ALL: [Kind; 2] = [Kind::Listing, Kind::Passage];
}

/// The fields. The order in which they are made is part of the format.
#[derive(Clone)]
pub(crate) struct Fields {
    pub(crate) schema: Schema,
    /// The torrent, for all that goes with it.
    pub(crate) torrent: Field,
    /// What replaces a document has the same.
    pub(crate) key: Field,
    /// Kind and source.
    pub(crate) class: Field,
    /// The hour in which it was met in the DHT, in hours since 1970; others have none.
    pub(crate) hour: Field,
    /// Names.
    pub(crate) name: Field,
    /// All other words.
    pub(crate) rest: Field,
    /// What is given back.
    pub(crate) kept: Field,
}

impl Fields {
    pub(crate) fn new() -> Self {
        let mut schema = Schema::builder();
        let text = TextFieldIndexing::default()
            .set_tokenizer(TOKENIZER)
            .set_index_option(IndexRecordOption::WithFreqs);
        let text = TextOptions::default().set_indexing_options(text);
        let number = NumericOptions::default().set_indexed();
        let bytes = BytesOptions::default().set_indexed();
        Fields {
            torrent: schema.add_bytes_field("torrent", bytes.clone()),
            key: schema.add_bytes_field("key", bytes),
            class: schema.add_u64_field("class", number.clone()),
            hour: schema.add_u64_field("hour", number),
            name: schema.add_text_field("name", text.clone()),
            rest: schema.add_text_field("rest", text),
            kept: schema.add_bytes_field("kept", BytesOptions::default().set_stored()),
            schema: schema.build(),
        }
    }

    /// The term of a kind from a source.
    pub(crate) fn class(&self, kind: Kind, source: Source) -> Term {
        Term::from_field_u64(self.class, class_number(kind, source))
    }
}

pub(crate) fn class_number(kind: Kind, source: Source) -> u64 {
    let kind = match kind {
        Kind::Listing => 0,
        Kind::Passage => 8,
    };
    kind + u64::from(source.number())
}

/// The tokenizers that the fields ask for.
pub(crate) fn tokenizers() -> TokenizerManager {
    // Fields without words ask for one that is the engine's own.
    let manager = TokenizerManager::default();
    manager.register(TOKENIZER, TextAnalyzer::from(Words));
    manager
}

/// Cuts texts into the overlay's words.
#[derive(Clone)]
struct Words;

/// The words of one text.
struct WordStream {
    words: std::vec::IntoIter<Word>,
    token: Token,
}

impl Tokenizer for Words {
    type TokenStream<'a> = WordStream;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream {
        WordStream { words: words(text).into_iter(), token: Token::default() }
    }
}

impl TokenStream for WordStream {
    fn advance(&mut self) -> bool {
        let Some(word) = self.words.next() else { return false };
        self.token.text.clear();
        self.token.text.push_str(word.as_str());
        self.token.position = self.token.position.wrapping_add(1);
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

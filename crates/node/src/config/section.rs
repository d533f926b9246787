//! One definition feeds a settings struct, its defaults and its part of the reference page.

/// A setting, for the reference page.
pub(super) struct Field {
    pub(super) name: &'static str,
    /// The lines of its doc comment.
    pub(super) doc: &'static [&'static str],
}

/// A table of `config.toml`, for the reference page.
pub(super) struct Section {
    pub(super) name: &'static str,
    pub(super) doc: &'static [&'static str],
    pub(super) fields: &'static [Field],
}

/// Declares the struct of one table of `config.toml`: fields with documentation and default.
macro_rules! section {
    (
        $(#[doc = $doc:literal])*
        pub struct $name:ident($table:literal) {
            $($(#[doc = $field_doc:literal])* pub $field:ident: $type:ty = $default:expr,)*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $($(#[doc = $field_doc])* pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                $name { $($field: $default,)* }
            }
        }

        impl $name {
            const SECTION: section::Section = section::Section {
                name: $table,
                doc: &[$($doc),*],
                fields: &[$(section::Field {
                    name: stringify!($field),
                    doc: &[$($field_doc),*],
                }),*],
            };
        }
    };
}
pub(super) use section;

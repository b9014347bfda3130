//! The macro that declares options.

/// Declares the keys a user can set: the struct, its parser and its description follow.
///
/// ```
/// use litestream_sdk::{Secret, Size, options};
///
/// options! {
///     /// Keys of an s3 replica.
///     pub struct S3Options {
///         /// Bucket name.
///         bucket: String, [url = Host, not_with_url];
///         /// Key prefix of the replica.
///         path: String = "", [url = Path, location, not_with_url];
///         /// Secret key.
///         secret_access_key: Option<Secret>, [env = "LITESTREAM_SECRET_ACCESS_KEY", env = "AWS_SECRET_ACCESS_KEY"];
///         /// Bytes in one part of a large upload.
///         part_size: Size = "5MiB", [local, query = "partSize"];
///     }
/// }
/// ```
///
/// A key is the field's name in kebab case; its help is the doc comment. Without a default a key is required, unless its
/// type is an `Option` or a `Vec`. A default is written as in a configuration file.
///
/// | attribute | meaning |
/// |---|---|
/// | `url = Host` `Port` `User` `Password` `Path` | the part of a URL that gives it |
/// | `query = "name"` | a further name as a URL parameter; the only way for a secret to come from one |
/// | `env = "NAME"` | an environment variable that gives it; of several, the first that has a value |
/// | `location` | says where databases go: not part of the pool, and not global |
/// | `local` | not filled from the top of the configuration |
/// | `not_with_url` | refused in the table of a replica that has a `url` |
/// | `since = "1.2"` | the plugin's version that brought it |
/// | `hidden` | left out of help and key tables |
#[macro_export]
macro_rules! options {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $(
                $(#[doc = $doc:literal])*
                $field:ident : $kind:ty $(= $default:expr)? $(, [ $($attr:ident $(= $value:tt)?),* $(,)? ])? ;
            )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        $vis struct $name {
            $( $(#[doc = $doc])* pub $field: $kind, )*
        }

        impl $crate::options::Options for $name {
            fn specs() -> ::std::vec::Vec<$crate::options::OptionSpec> {
                ::std::vec![$({
                    #[allow(unused_mut)]
                    let mut spec = $crate::options::OptionSpec::new::<$kind>(stringify!($field), &[$($doc),*]);
                    $( spec.set_default($crate::__private::json!($default)); )?
                    $( $( $crate::__option_attribute!(spec, $attr $(= $value)?); )* )?
                    spec
                }),*]
            }

            #[allow(irrefutable_let_patterns)] // of a set without keys
            fn parse(
                values: &$crate::options::Values,
            ) -> ::std::result::Result<Self, ::std::vec::Vec<$crate::options::Problem>> {
                let specs = <Self as $crate::options::Options>::specs();
                let mut problems = ::std::vec::Vec::new();
                $crate::options::refuse_unknown(values, &specs, &mut problems);
                #[allow(unused_mut, unused_variables)]
                let mut specs = specs.iter();
                $(
                    let $field = specs.next().and_then(|spec| {
                        $crate::options::take::<$kind>(values, spec, &mut problems)
                    });
                )*
                if problems.is_empty() {
                    if let ($(::std::option::Option::Some($field),)*) = ($($field,)*) {
                        return ::std::result::Result::Ok(Self { $($field),* });
                    }
                }
                ::std::result::Result::Err(problems)
            }

            fn canonical(
                &self,
            ) -> ::std::vec::Vec<(::std::string::String, $crate::__private::Value)> {
                #[allow(unused_mut)]
                let mut values = ::std::vec::Vec::new();
                $(
                    if let ::std::option::Option::Some(value) = $crate::options::OptionType::to_value(&self.$field) {
                        values.push(($crate::options::key_of(stringify!($field)), value));
                    }
                )*
                values
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __option_attribute {
    ($spec:ident, url = $part:ident) => {
        $spec.described.url = ::std::option::Option::Some($crate::options::UrlPart::$part);
    };
    ($spec:ident, query = $name:literal) => {
        $spec.described.query.push($name.into());
    };
    ($spec:ident, env = $name:literal) => {
        $spec.described.env.push($name.into());
    };
    ($spec:ident, since = $version:literal) => {
        $spec.described.since = $version.into();
    };
    ($spec:ident, location) => {
        $spec.described.location = true;
        $spec.described.global = false;
    };
    ($spec:ident, local) => {
        $spec.described.global = false;
    };
    ($spec:ident, hidden) => {
        $spec.described.hidden = true;
    };
    ($spec:ident, not_with_url) => {
        $spec.not_with_url = true;
    };
}

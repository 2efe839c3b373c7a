use axum::{Form, extract::rejection::FormRejection};

/// The fields of a request's form, in order, as [`axum`] reads them.
pub type Fields = Result<Form<Vec<(String, String)>>, FormRejection>;

/// The request. The daemon decides whether the address and the project are valid.
#[derive(Debug, PartialEq, Eq)]
pub struct Wish {
    /// The address as it was typed, without blanks around it.
    pub email: String,
    /// Where there is a choice: which project.
    pub project: Option<String>,
}

impl Wish {
    /// Reads the form: exactly one `email`, at most one `project`, nothing else. With two addresses, a
    /// check could see one and the action the other.
    pub fn read(fields: Vec<(String, String)>) -> Option<Self> {
        let (mut email, mut project) = (None, None);
        for (name, value) in fields {
            let slot = match name.as_str() {
                "email" => &mut email,
                "project" => &mut project,
                _ => return None,
            };
            if slot.replace(value.trim().to_owned()).is_some() {
                return None;
            }
        }
        Some(Self {
            email: email?,
            project: project.filter(|name| !name.is_empty()),
        })
    }
}

/// What somebody signs in with.
#[derive(Debug, PartialEq, Eq)]
pub enum Proof {
    /// A link.
    Link {
        /// Its token.
        token: String,
    },
    /// An address and the code of a link for it.
    Code {
        /// The address as it was typed, without blanks around it.
        email: String,
        /// The code likewise.
        code: String,
    },
}

impl Proof {
    /// Reads the form: one `token`, or one `email` and one `code`; nothing else.
    pub fn read(fields: Vec<(String, String)>) -> Option<Self> {
        let mut fields = fields.into_iter();
        let mut next = || {
            fields
                .next()
                .map(|(name, value)| (name, value.trim().to_owned()))
        };
        let found = [next(), next(), next()];
        let [Some((first, value)), second, None] = found else {
            return None;
        };
        match (first.as_str(), second) {
            ("token", None) => Some(Self::Link { token: value }),
            ("email", Some((second, code))) if second == "code" => {
                Some(Self::Code { email: value, code })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[(&str, &str)]) -> Option<(String, Option<String>)> {
        let fields = fields.iter().map(|(n, v)| ((*n).into(), (*v).into()));
        Wish::read(fields.collect()).map(|wish| (wish.email, wish.project))
    }

    #[test]
    fn one_proof_and_no_second_one() {
        let read = |fields: &[(&str, &str)]| {
            let fields = fields.iter().map(|(n, v)| ((*n).into(), (*v).into()));
            Proof::read(fields.collect())
        };
        let token = Some(Proof::Link { token: "t".into() });
        assert_eq!(read(&[("token", "t")]), token);
        let (email, code) = ("a@b.c".to_owned(), "X".to_owned());
        let by_code = Some(Proof::Code { email, code });
        assert_eq!(read(&[("email", " a@b.c"), ("code", "X ")]), by_code);
        for bad in [
            &[][..],
            &[("email", "a@b.c")],
            &[("code", "X"), ("email", "a@b.c")],
            &[("token", "t"), ("token", "u")],
            &[("token", "t"), ("email", "a@b.c"), ("code", "X")],
            &[("email", "a@b.c"), ("code", "X"), ("code", "Y")],
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn one_address_and_at_most_one_project() {
        let anna = || "a@b.c".to_owned();
        assert_eq!(read(&[("email", " a@b.c ")]), Some((anna(), None)));
        assert_eq!(
            read(&[("project", "p"), ("email", "a@b.c")]),
            Some((anna(), Some("p".to_owned())))
        );
        assert_eq!(
            read(&[("email", "a@b.c"), ("project", "")]),
            Some((anna(), None))
        );
        assert_eq!(read(&[("email", "")]), Some((String::new(), None)));
        for bad in [
            &[][..],
            &[("project", "p")],
            &[("email", "a@b.c"), ("email", "a@b.c")],
            &[("email", "a@b.c"), ("project", "p"), ("project", "q")],
            &[("email[]", "a@b.c")],
            &[("email", "a@b.c"), ("admin", "1")],
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}

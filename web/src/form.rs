use crate::{
    app::App,
    error::{Problem, Refusal},
    i18n::Lang,
    visitor::Visitor,
};
use axum::{
    Form,
    extract::{FromRequest, FromRequestParts, Request},
    http::StatusCode,
};

/// The field with which a form proves that it is of this session's pages.
const TOKEN: &str = "form";

/// A form that was submitted from a page of the visitor's own session. Every POST is taken by this.
#[derive(Debug)]
pub struct Posted {
    /// Who submits it.
    pub visitor: Visitor,
    /// Their language.
    pub lang: Lang,
    /// The fields, in order, without the session's token.
    pub fields: Vec<(String, String)>,
}

impl FromRequest<App> for Posted {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &App) -> Result<Self, Refusal> {
        let (mut parts, body) = request.into_parts();
        let Ok(lang) = Lang::from_request_parts(&mut parts, app).await;
        let Ok(visitor) = Visitor::from_request_parts(&mut parts, app).await;
        let request = Request::from_parts(parts, body);
        let Form(fields) = Form::<Vec<(String, String)>>::from_request(request, app)
            .await
            .map_err(|err| Refusal(lang, Problem::BadForm(err.status())))?;
        let (tokens, fields): (Vec<_>, Vec<_>) =
            fields.into_iter().partition(|(name, _)| name == TOKEN);
        let is_own = match (&visitor.session, &tokens[..]) {
            (None, [] | [_]) => true,
            (Some(_), [(_, token)]) => *token == visitor.form_token(),
            _ => false,
        };
        if !is_own {
            return Err(Refusal(lang, Problem::OldForm));
        }
        Ok(Self {
            visitor,
            lang,
            fields,
        })
    }
}

impl Posted {
    /// The refusal of a form that has other fields than it should.
    pub fn bad(&self) -> Refusal {
        Refusal(self.lang, Problem::BadForm(StatusCode::BAD_REQUEST))
    }

    /// The values of these fields, in this order; `None` for one that is not there. Another field, and one
    /// that is there twice, is refused.
    ///
    /// # Errors
    /// The form has other fields.
    pub fn values<const N: usize>(&self, names: [&str; N]) -> Result<[Option<String>; N], Refusal> {
        let mut values = [const { None }; N];
        for (name, value) in &self.fields {
            let index = names.iter().position(|known| known == name);
            let slot = index.and_then(|index| values.get_mut(index));
            let slot: &mut Option<String> = slot.ok_or_else(|| self.bad())?;
            if slot.replace(value.trim().to_owned()).is_some() {
                return Err(self.bad());
            }
        }
        Ok(values)
    }
}

/// The request. The daemon decides whether the address and the project are valid.
#[derive(Debug, PartialEq, Eq)]
pub struct Wish {
    /// The address as it was typed, without blanks around it.
    pub email: String,
    /// Where there is a choice: which project.
    pub project: Option<String>,
    /// The branch to begin from, where it is not the project's own.
    pub base: Option<String>,
}

impl Wish {
    /// Reads the form: exactly one `email`, at most one `project` and one `base`, nothing else. With two addresses, a
    /// check could see one and the action the other.
    pub fn read(fields: Vec<(String, String)>) -> Option<Self> {
        let (mut email, mut project, mut base) = (None, None, None);
        for (name, value) in fields {
            let slot = match name.as_str() {
                "email" => &mut email,
                "project" => &mut project,
                "base" => &mut base,
                _ => return None,
            };
            if slot.replace(value.trim().to_owned()).is_some() {
                return None;
            }
        }
        Some(Self {
            email: email?,
            project: project.filter(|name| !name.is_empty()),
            base: base.filter(|name| !name.is_empty()),
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
            &[("email", "a@b.c"), ("base", "p"), ("base", "q")],
            &[("email[]", "a@b.c")],
            &[("email", "a@b.c"), ("admin", "1")],
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}

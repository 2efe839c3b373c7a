//! What the daemon calls the steps of its jobs.

use super::Lang;
use crate::text::printable;

/// Steps that are always called the same.
const WHOLE: &[(&str, &str)] = &[
    ("back the database up", "копия базы данных"),
    ("let nginx reach the socket", "доступ nginx к сокету"),
    ("make the stage's folder", "создание папки площадки"),
    ("exchange the other processes", "замена остальных процессов"),
    (
        "let the old ones answer",
        "старые процессы отвечают на начатое",
    ),
    ("stop the old processes", "остановка старых процессов"),
    (
        "switch to the new processes",
        "переключение на новые процессы",
    ),
    ("wait for the new processes", "ожидание новых процессов"),
    ("write down what runs", "запись о том, что работает"),
    ("bring the tree up to date", "обновление файлов"),
    ("clone the repository", "клонирование репозитория"),
    ("copy the static files", "копирование статических файлов"),
    (
        "end what is left running",
        "завершение оставшихся процессов",
    ),
    ("find out what it needs", "определение того, что нужно"),
    ("give access to the files", "выдача доступа к файлам"),
    ("install dependencies", "установка зависимостей"),
    (
        "look for work that would be lost",
        "поиск несохранённой работы",
    ),
    ("make the account", "создание учётной записи"),
    ("make the build's folder", "создание папки сборки"),
    ("make the directory", "создание папки"),
    ("release the port", "освобождение порта"),
    (
        "remove run file and logs",
        "удаление настроек запуска и журналов",
    ),
    ("remove the account", "удаление учётной записи"),
    ("remove the directory", "удаление папки"),
    (
        "repair the access to the files",
        "восстановление доступа к файлам",
    ),
    ("reserve a port", "резервирование порта"),
    ("restart the processes", "перезапуск процессов"),
    ("run the build commands", "команды сборки"),
    ("run the release commands", "команды перед запуском"),
    ("make the template", "изготовление заготовки"),
    ("take over what the template holds", "перенос заготовки"),
    ("seal the files", "защита файлов от изменений"),
    ("start the processes", "запуск процессов"),
    ("stop the processes", "остановка процессов"),
    ("hold visitors back", "посетители ждут"),
    ("let visitors in", "посетители снова попадают в приложение"),
    ("take it out of nginx", "отключение адреса в nginx"),
    ("test it", "тесты"),
    ("wait for the first answer", "ожидание первого ответа"),
    ("write down what was made", "запись о созданном"),
    ("write the configuration", "запись настроек"),
];

/// Steps whose name ends with what they are about.
const BEGINNINGS: &[(&str, &str)] = &[
    ("check the files of build ", "проверка файлов сборки "),
    (
        "write down that build ",
        "запись о том, что работает сборка ",
    ),
    ("delete the branch ", "удаление ветки "),
    ("fetch ", "загрузка "),
    ("look at the branch ", "проверка ветки "),
    ("publish ", "публикация "),
    ("push the branch ", "отправка ветки "),
    ("write the files of ", "запись файлов "),
];

impl Lang {
    /// A step's name; one that is not known here, as the daemon says it.
    pub fn step_label(self, label: &str) -> String {
        if self == Self::En {
            return printable(label);
        }
        if let Some((_, own)) = WHOLE.iter().find(|(name, _)| *name == label) {
            return (*own).to_owned();
        }
        let begun = BEGINNINGS
            .iter()
            .find_map(|(name, own)| Some((own, label.strip_prefix(name)?)));
        match begun {
            Some((own, about)) => format!("{own}{}", printable(about)),
            None => printable(label),
        }
    }

    /// Whether a step's name is said in this language.
    pub fn knows_step(self, label: &str) -> bool {
        self == Self::En
            || WHOLE.iter().any(|(name, _)| *name == label)
            || BEGINNINGS.iter().any(|(name, _)| label.starts_with(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::Path};

    #[test]
    fn labels_are_said_with_what_they_are_about() {
        assert_eq!(Lang::Ru.step_label("fetch main"), "загрузка main");
        assert_eq!(Lang::Ru.step_label("test it"), "тесты");
        assert_eq!(Lang::Ru.step_label("dance"), "dance");
        assert_eq!(Lang::En.step_label("fetch \u{1b}[31mmain"), "fetch main");
    }

    /// Reads the daemon's source: the front shares no code with it.
    #[test]
    fn every_step_of_the_daemon_is_said_in_russian() {
        let steps = Path::new(env!("CARGO_MANIFEST_DIR")).join("../daemon/src/step");
        let mut labels = 0;
        for file in fs::read_dir(steps).unwrap() {
            let source = fs::read_to_string(file.unwrap().path()).unwrap();
            for rest in source.split("fn label(&self) -> String {").skip(1) {
                let body = rest.split('}').next().unwrap_or_default();
                let end = rest.find("\n    }").unwrap_or(body.len());
                for label in rest[..end].split('"').skip(1).step_by(2) {
                    let label = label.split('{').next().unwrap_or_default();
                    assert!(Lang::Ru.knows_step(label), "{label:?} has no Russian name");
                    labels += 1;
                }
            }
        }
        assert!(labels >= 30, "{labels}");
    }
}

# Golden numbers for mgrisk.survey.presentation, made by R package survey.
#
#   Rscript tests/golden/presentation.R tests/golden
#
# The argument is the folder of toy_design.csv; presentation.json is written there.

suppressPackageStartupMessages({
  library(survey)
  library(jsonlite)
})
folder <- commandArgs(trailingOnly = TRUE)[1]
toy <- read.csv(file.path(folder, "toy_design.csv"))
full <- svydesign(ids = ~psu, strata = ~stratum, weights = ~weight, nest = TRUE, data = toy)
# People without a weight do not count as people: R would count their rows.
counted <- subset(full, weight > 0)
beta <- function(formula, design) {
  p <- svyciprop(formula, design, method = "beta")
  interval <- unname(as.vector(confint(p)))
  list(estimate = unname(as.vector(coef(p))), se = unname(as.vector(SE(p))), low = interval[1], high = interval[2],
       n = nrow(design), df = degf(design))
}
values <- list(
  case = beta(~I(y == 1), counted),
  group_c = beta(~I(group == "c"), counted),
  case_in_c = beta(~I(y == 1), subset(counted, group == "c")),
  case_in_domain = beta(~I(y == 1), subset(counted, domain == 1))
)
write(toJSON(list(program = "R survey", version = as.character(packageVersion("survey")),
                  r_version = R.version.string, call = "Rscript tests/golden/presentation.R tests/golden",
                  date = as.character(Sys.Date()), values = values),
             auto_unbox = TRUE, digits = 15, pretty = TRUE), file.path(folder, "presentation.json"))

# Golden numbers for mgrisk.survey and mgrisk.evaluate, made by R package survey.
#
#   Rscript tests/golden/survey.R tests/golden /path/to/nhanes/mirror
#
# The first argument is the folder of toy_design.csv (made here, with a seed, where it is not there yet) and of
# survey.json, which this script writes. The second is the mirror of the CDC site: Public/<year>/DataFiles/<TABLE>.xpt.

suppressPackageStartupMessages({
  library(survey)
  library(Hmisc)
  library(jsonlite)
  library(foreign)
})
arguments <- commandArgs(trailingOnly = TRUE)
stopifnot(length(arguments) == 2)
folder <- arguments[1]
mirror <- arguments[2]
strict <- glm.control(epsilon = 1e-14, maxit = 100)

# --- the toy survey ----------------------------------------------------------------------------------------------

make_toy <- function() {
  set.seed(20240607, kind = "Mersenne-Twister", normal.kind = "Inversion", sample.kind = "Rejection")
  psus <- c(2, 2, 3, 2, 3, 2)
  rows <- do.call(rbind, lapply(seq_along(psus), function(h) {
    do.call(rbind, lapply(seq_len(psus[h]), function(j) {
      n <- 20 + sample.int(18, 1)
      data.frame(stratum = 100 + h, psu = j, shift = rnorm(1, 0, 0.4), id = seq_len(n))
    }))
  }))
  n <- nrow(rows)
  weight <- exp(rnorm(n, 9, 0.6))
  weight[runif(n) < 0.06] <- 0
  x1 <- rnorm(n) + rows$shift
  x2 <- rbinom(n, 1, 0.4)
  group <- sample(c("a", "b", "c"), n, replace = TRUE, prob = c(0.5, 0.3, 0.2))
  eta <- -1.6 + 0.8 * x1 + 0.5 * x2 + rows$shift
  y <- rbinom(n, 1, plogis(eta))
  # Too extreme and too high, so that calibration has something to find; three decimals make ties.
  risk <- round(plogis(0.3 + 1.4 * eta + rnorm(n, 0, 0.3)), 3)
  risk <- pmin(pmax(risk, 0.001), 0.999)
  amount <- exp(rnorm(n, 5.5, 0.3) + 0.1 * x1)
  # The domain leaves stratum 106 out altogether and one whole PSU of stratum 103.
  domain <- as.integer(x1 > -0.8 & rows$stratum != 106 & !(rows$stratum == 103 & rows$psu == 2))
  data.frame(stratum = rows$stratum, psu = rows$psu, weight = round(weight, 3), domain = domain, y = y,
             x1 = round(x1, 6), x2 = x2, group = group, amount = round(amount, 4), risk = risk)
}
toy_path <- file.path(folder, "toy_design.csv")
if (!file.exists(toy_path)) write.csv(make_toy(), toy_path, row.names = FALSE, quote = FALSE)
toy <- read.csv(toy_path)
toy$lp <- qlogis(toy$risk)
full <- svydesign(ids = ~psu, strata = ~stratum, weights = ~weight, nest = TRUE, data = toy)
part <- subset(full, domain == 1)
jackknife <- as.svrepdesign(full, type = "JKn", mse = TRUE)
jackknife_part <- subset(jackknife, domain == 1)

estimate <- function(m) list(estimate = unname(coef(m)), se = unname(as.vector(SE(m))))
described <- function(design, m) {
  interval <- unname(as.vector(confint(m, df = degf(design))))
  c(estimate(m), list(low = interval[1], high = interval[2], df = degf(design)))
}
share <- function(formula, design) {
  # "xlogit" is the closed form of "logit", which iterates a glm and stops at a relative error near 1e-8.
  p <- svyciprop(formula, design, method = "xlogit")
  interval <- unname(as.vector(confint(p)))
  list(estimate = unname(as.vector(coef(p))), se = unname(as.vector(SE(p))), low = interval[1], high = interval[2],
       df = degf(design))
}
middle <- function(design, p) {
  q <- svyquantile(~amount, design, p, qrule = "math", interval.type = "mean")
  row <- unname(as.vector(q$amount))
  list(estimate = row[1], low = row[2], high = row[3], se = row[4], df = degf(design))
}
fitted_model <- function(formula, design, ...) {
  of_fit(svyglm(formula, design, family = quasibinomial(), control = strict, ...))
}
of_fit <- function(m) {
  list(coefficients = unname(coef(m)), covariance = unname(vcov(m)), df = m$df.residual,
       low = unname(confint(m)[, 1]), high = unname(confint(m)[, 2]), p = unname(summary(m)$coefficients[, 4]))
}
wald <- function(model, terms) {
  test <- regTermTest(model, terms)
  list(statistic = as.vector(test$Ftest), numerator = test$df, denominator = test$ddf, p = as.vector(test$p))
}
linear_model <- function(formula, design) {
  of_fit(svyglm(formula, design, family = gaussian()))
}
standardised <- function(formula, by, design, standard) {
  # Of the group means with their covariance: the standard population is fixed, as SUDAAN has it.
  means <- svyby(formula, by, design, svymean, covmat = TRUE)
  m <- svycontrast(means, standard / sum(standard))
  c(estimate(m), list(df = degf(design)))
}
lonely <- function(rule) {
  # Stratum 106 keeps one PSU only.
  old <- options(survey.lonely.psu = rule)
  on.exit(options(old))
  design <- svydesign(ids = ~psu, strata = ~stratum, weights = ~weight, nest = TRUE,
                      data = toy[!(toy$stratum == 106 & toy$psu == 2), ])
  inside <- subset(design, x1 > -0.8)
  replicates <- subset(as.svrepdesign(design, type = "JKn", mse = TRUE), x1 > -0.8)
  list(mean = estimate(svymean(~amount, inside)), total = estimate(svytotal(~amount, inside)),
       proportion = share(~y, inside), logistic = fitted_model(y ~ x1 + x2, inside),
       jackknife_mean = estimate(withReplicates(replicates, average)),
       jackknife_replicates = ncol(weights(replicates, type = "analysis")))
}
bootstrap <- function(design, replicates) {
  # R's own random numbers: agreement is within simulation error only.
  set.seed(20261122, kind = "Mersenne-Twister", normal.kind = "Inversion", sample.kind = "Rejection")
  b <- subset(as.svrepdesign(design, type = "subbootstrap", replicates = replicates, mse = TRUE), domain == 1)
  c(estimate(withReplicates(b, average)), list(replicates = replicates))
}
drawn <- function(design, replicates) {
  # The factors themselves, a row for each replicate and a column for each PSU: from these the answer is exact.
  set.seed(20261126, kind = "Mersenne-Twister", normal.kind = "Inversion", sample.kind = "Rejection")
  b <- as.svrepdesign(design, type = "subbootstrap", replicates = replicates, mse = TRUE)
  of_psu <- match(unique(design$cluster[, 1]), design$cluster[, 1])
  c(estimate(withReplicates(subset(b, domain == 1), average)),
    list(psu = unname(as.matrix(design$variables[of_psu, c("stratum", "psu")])), scale = b$scale * b$rscales,
         factors = unname(t(weights(b, type = "replication")[of_psu, ]))))
}
average <- function(w, data) sum(w * data$amount) / sum(w)

flexible <- function(w, data) {
  # Restricted cubic spline of logit(risk), four knots at weighted quantiles, as Harrell places them.
  keep <- w > 0
  lp <- data$lp[keep]; y <- data$y[keep]; p <- data$risk[keep]; w <- w[keep]
  order_ <- order(lp); cumulated <- cumsum(w[order_]) / sum(w)
  knots <- sapply(c(.05, .35, .65, .95), function(q) lp[order_][which(cumulated >= q - 1e-9)[1]])
  basis <- rcspline.eval(lp, knots = knots, inclx = TRUE)
  m <- suppressWarnings(glm(y ~ basis, weights = w / mean(w), family = quasibinomial(), control = strict))
  gap <- abs(p - fitted(m)); by_gap <- order(gap); share_ <- cumsum(w[by_gap]) / sum(w)
  quantile_ <- function(q) gap[by_gap][which(share_ >= q - 1e-9)[1]]
  c(ici = sum(w * gap) / sum(w), e50 = quantile_(.5), e90 = quantile_(.9))
}
auroc <- function(w, data) {
  case <- data$y == 1
  higher <- outer(data$risk[case], data$risk[!case], ">") + 0.5 * outer(data$risk[case], data$risk[!case], "==")
  as.vector(w[case] %*% higher %*% w[!case]) / (sum(w[case]) * sum(w[!case]))
}
line <- function(w, data) {
  m <- suppressWarnings(glm(y ~ lp, data = data, weights = w / mean(w), family = quasibinomial(), control = strict))
  unname(coef(m)[2])
}
at_large <- function(w, data) {
  m <- suppressWarnings(
    glm(y ~ 1 + offset(lp), data = data, weights = w / mean(w), family = quasibinomial(), control = strict))
  unname(coef(m)[1])
}
net_benefit <- function(w, data) {
  treated <- data$risk >= 0.3
  (sum(w[treated & data$y == 1]) - sum(w[treated & data$y == 0]) * 0.3 / 0.7) / sum(w)
}
above_rival <- function(w, data) {
  # Of the risk minus that of points made a risk, at the same threshold.
  rival <- plogis(-1.5 + 0.8 * data$x1)
  benefit <- function(treated) (sum(w[treated & data$y == 1]) - sum(w[treated & data$y == 0]) * 0.3 / 0.7) / sum(w)
  benefit(data$risk >= 0.3) - benefit(rival >= 0.3)
}
replicated <- function(f) {
  m <- withReplicates(jackknife_part, f)
  estimate(m)
}
of_coefficient <- function(formula, place) {
  # On the full design: of a domain of a replicate design degf() counts emptied PSUs too.
  m <- svyglm(formula, jackknife, family = quasibinomial(), control = strict)
  list(estimate = unname(coef(m)[place]), se = unname(SE(m)[place]), low = unname(confint(m)[place, 1]),
       high = unname(confint(m)[place, 2]), df = m$df.residual)
}
by_group <- svyby(~amount, ~group, part, svymean)

toy_values <- list(
  degf_full = degf(full), degf_domain = degf(part),
  mean_full = described(full, svymean(~amount, full)),
  mean_domain = described(part, svymean(~amount, part)),
  total_domain = described(part, svytotal(~amount, part)),
  ratio_domain = described(part, svyratio(~amount, ~I(x2 + 1), part)),
  proportion_full = share(~y, full),
  proportion_domain = share(~y, part),
  median_full = middle(full, 0.5),
  median_domain = middle(part, 0.5),
  quantile90_domain = middle(part, 0.9),
  by_group = list(group = by_group$group, estimate = unname(by_group$amount), se = unname(by_group$se)),
  covariance_of_totals = unname(vcov(svytotal(~amount + x1 + y, part))),
  logistic_full = fitted_model(y ~ x1 + x2, full),
  logistic_domain = fitted_model(y ~ x1 + x2, part),
  logistic_offset = fitted_model(y ~ x2 + offset(lp), part),
  jackknife_mean_full = estimate(withReplicates(jackknife, average)),
  jackknife_mean_domain = estimate(withReplicates(jackknife_part, average)),
  jackknife_replicates = ncol(weights(jackknife, type = "analysis")),
  auroc = replicated(auroc),
  calibration_slope = replicated(line),
  calibration_intercept = replicated(at_large),
  calibration_slope_full = of_coefficient(y ~ lp, 2),
  calibration_intercept_full = of_coefficient(y ~ 1 + offset(lp), 1),
  net_benefit_30 = replicated(net_benefit),
  net_benefit_30_above_rival = replicated(above_rival),
  auroc_without_near_controls = estimate(withReplicates(subset(jackknife, domain == 1 & (y == 1 | x2 == 0)), auroc)),
  flexible = replicated(flexible),
  linear_full = linear_model(amount ~ x1 + x2 + y, full),
  linear_domain = linear_model(amount ~ x1 + x2 + y, part),
  wald_linear = wald(svyglm(amount ~ x1 + x2 + y, part, family = gaussian()), ~ x2 + y),
  wald_logistic = wald(svyglm(y ~ x1 + x2 + group, part, family = quasibinomial(), control = strict), ~group),
  standardised_mean = standardised(~amount, ~group, part, c(1, 2, 3)),
  standardised_share = standardised(~y, ~group, part, c(1, 2, 3)),
  lonely_certainty = lonely("certainty"),
  lonely_adjust = lonely("adjust"),
  bootstrap_mean_domain = bootstrap(full, 4000),
  bootstrap_drawn = drawn(full, 25),
  spline_basis = unname(rcspline.eval(c(-3, -1.5, 0, 1, 3), knots = c(-2, -1, 0.5, 2), inclx = TRUE)[, 1:3])
)

# --- NHANES ------------------------------------------------------------------------------------------------------

table_of <- function(year, name) {
  read.xport(file.path(mirror, "Public", year, "DataFiles", paste0(name, ".xpt")))
}
cycle <- function(year, letter, tables, columns) {
  people <- table_of(year, paste0("DEMO_", letter))
  for (name in tables) people <- merge(people, table_of(year, paste0(name, "_", letter)), by = "SEQN", all.x = TRUE)
  people[, c("SEQN", "SDMVSTRA", "SDMVPSU", "RIDAGEYR", "RIAGENDR", "RIDEXPRG", columns)]
}
is1 <- function(x) !is.na(x) & x == 1
design_of <- function(people, weight) {
  # Outside the subsample the weight is missing or zero: zero keeps the row, and its PSU, in the design.
  people$w <- ifelse(is.na(people[[weight]]), 0, people[[weight]])
  svydesign(ids = ~SDMVPSU, strata = ~SDMVSTRA, weights = ~w, nest = TRUE, data = people)
}

seen <- cycle(2017, "J", c("DIQ", "DR1TOT"), c("WTMEC2YR", "WTDRD1", "DIQ010", "DR1TMAGN", "DR1DRSTZ"))
seen$adult <- seen$RIDAGEYR >= 20 & !is1(seen$RIDEXPRG)
seen$diagnosed <- as.integer(is1(seen$DIQ010))
exam <- subset(design_of(seen, "WTMEC2YR"), adult)
diet <- subset(design_of(seen, "WTDRD1"), adult & is1(DR1DRSTZ))
magnesium <- svyby(~DR1TMAGN, ~RIAGENDR, diet, svymean)

undiagnosed <- function(years, letters_) {
  people <- do.call(rbind, Map(function(year, letter) {
    cycle(year, letter, c("DIQ", "GHB", "GLU"), c("WTSAF2YR", "DIQ010", "LBXGH", "LBXGLU"))
  }, years, letters_))
  people$WTSAF2YR <- people$WTSAF2YR / length(years)
  people$domain <- people$RIDAGEYR >= 20 & !is1(people$RIDEXPRG) & !is.na(people$LBXGH) & !is.na(people$LBXGLU) &
    !is.na(people$WTSAF2YR) & people$WTSAF2YR > 0
  people$hidden <- as.integer(!is1(people$DIQ010) & ((!is.na(people$LBXGH) & people$LBXGH >= 6.5) |
                                                       (!is.na(people$LBXGLU) & people$LBXGLU >= 126)))
  design <- subset(design_of(people, "WTSAF2YR"), domain)
  c(share(~hidden, design), list(n = nrow(design$variables)))
}

body <- cycle(2017, "J", "BMX", c("WTMEC2YR", "BMXBMI"))
body$obese <- as.integer(!is.na(body$BMXBMI) & body$BMXBMI >= 30)
body$age_group <- cut(body$RIDAGEYR, c(20, 40, 60, Inf), right = FALSE, labels = c("20-39", "40-59", "60+"))
measured <- subset(design_of(body, "WTMEC2YR"), RIDAGEYR >= 20 & !is1(RIDEXPRG) & !is.na(BMXBMI))
obesity <- svyby(~obese, ~age_group, measured, svymean)
middle_magnesium <- svyby(~DR1TMAGN, ~RIAGENDR, diet, svyquantile, quantiles = 0.5, qrule = "math",
                          interval.type = "mean", vartype = "ci")

nhanes_values <- list(
  obesity_2017 = list(age_group = as.character(obesity$age_group), estimate = unname(obesity$obese),
                      se = unname(obesity$se), n = nrow(measured$variables)),
  obesity_2017_age_adjusted = standardised(~obese, ~age_group, measured, c(77670, 72816, 45364)),
  magnesium_median_2017 = list(sex = middle_magnesium$RIAGENDR, estimate = unname(middle_magnesium$DR1TMAGN),
                               low = unname(middle_magnesium[[3]]), high = unname(middle_magnesium[[4]])),
  diagnosed_2017 = c(share(~diagnosed, exam), list(n = sum(weights(exam) > 0))),
  undiagnosed_2017 = undiagnosed(2017, "J"),
  undiagnosed_2011_2018 = undiagnosed(c(2011, 2013, 2015, 2017), c("G", "H", "I", "J")),
  magnesium_2017 = list(sex = magnesium$RIAGENDR, estimate = unname(magnesium$DR1TMAGN), se = unname(magnesium$se),
                        df = degf(diet), n = nrow(diet$variables))
)

write_json(
  list(
    program = "R survey", version = as.character(packageVersion("survey")), r_version = R.version.string,
    call = "Rscript tests/golden/survey.R tests/golden <mirror>", date = format(Sys.Date()),
    values = list(toy = toy_values, nhanes = nhanes_values)
  ),
  file.path(folder, "survey.json"), digits = I(17), auto_unbox = TRUE, pretty = TRUE, matrix = "rowmajor"
)

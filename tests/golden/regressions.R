# Golden numbers for tests of groups, trends, splines, interactions, average differences and prevalence ratios, made by
# R package survey on the toy survey of survey.R.
#
#   Rscript tests/golden/regressions.R tests/golden
#
# The argument is the folder of toy_design.csv and of regressions.json, which this script writes.

suppressPackageStartupMessages({
  library(survey)
  library(Hmisc)
  library(jsonlite)
})
arguments <- commandArgs(trailingOnly = TRUE)
stopifnot(length(arguments) == 1)
folder <- arguments[1]
strict <- glm.control(epsilon = 1e-14, maxit = 100)

toy <- read.csv(file.path(folder, "toy_design.csv"))
knots <- c(-1, -0.3, 0.4, 1.2)
curve <- function(x) rcspline.eval(x, knots = knots, inclx = TRUE)
toy$c1 <- curve(toy$x1)[, 1]; toy$c2 <- curve(toy$x1)[, 2]; toy$c3 <- curve(toy$x1)[, 3]
toy$place <- match(toy$group, c("a", "b", "c"))
full <- svydesign(ids = ~psu, strata = ~stratum, weights = ~weight, nest = TRUE, data = toy)
part <- subset(full, domain == 1)
logistic <- function(formula, design = part) svyglm(formula, design, family = quasibinomial(), control = strict)
linear <- function(formula, design = part) svyglm(formula, design, family = gaussian())

of_fit <- function(m) {
  list(coefficients = unname(coef(m)), se = unname(SE(m)), low = unname(confint(m)[, 1]),
       high = unname(confint(m)[, 2]), p = unname(summary(m)$coefficients[, 4]), df = m$df.residual)
}
wald <- function(m, terms) {
  test <- regTermTest(m, terms)
  list(statistic = as.vector(test$Ftest), numerator = test$df, denominator = test$ddf, p = as.vector(test$p))
}
chi_square <- function(formula, design = part) {
  test <- svychisq(formula, design, statistic = "F")
  list(statistic = unname(test$statistic), numerator = unname(test$parameter[1]), denominator = unname(test$parameter[2]),
       p = unname(test$p.value))
}
trend <- function(m) {
  c(list(slope = unname(coef(m)[2]), se = unname(SE(m)[2])), wald(m, names(coef(m))[2]))
}

# A curve is read at its knots against the first of them.
at_knots <- function(m, others) {
  points <- curve(knots)
  rows <- lapply(2:4, function(j) {
    contrast <- setNames(c(0, points[j, ] - points[1, ], rep(0, others)), names(coef(m)))
    found <- svycontrast(m, contrast)
    half <- qt(0.975, m$df.residual) * SE(found)
    c(estimate = as.vector(coef(found)), se = as.vector(SE(found)), low = as.vector(coef(found) - half),
      high = as.vector(coef(found) + half))
  })
  as.list(as.data.frame(do.call(rbind, rows)))
}

# Averages of risks with everybody at a level: the standard error is that of the total of the influence function, of the
# coefficients and of who is averaged over together. R survey has no such function: svypredmeans adds two variances.
averages <- function(m, design, change) {
  X <- model.matrix(m)
  w <- weights(design, type = "sampling")
  keep <- w > 0
  stopifnot(nrow(X) == length(w))
  y <- m$y; mu <- fitted(m)
  bread <- solve(crossprod(X * (w * mu * (1 - mu)), X))
  of_coefficients <- (X * (y - mu)) %*% bread
  risk <- function(Z) {
    p <- plogis(as.vector(Z %*% coef(m)))
    value <- sum(w * p) / sum(w)
    gradient <- colSums(w * p * (1 - p) * Z) / sum(w)
    list(value = value, influence = as.vector(of_coefficients %*% gradient) + (p - value) / sum(w))
  }
  of <- function(value, influence) {
    with_it <- update(design, influence_ = influence)
    se <- as.vector(SE(svytotal(~influence_, with_it)))
    half <- qt(0.975, m$df.residual) * se
    list(estimate = value, se = se, low = value - half, high = value + half, p = 2 * pt(-abs(value / se), m$df.residual))
  }
  low <- risk(change$from(X)); high <- risk(change$to(X))
  found <- list(difference = of(high$value - low$value, high$influence - low$influence),
                ratio = of(log(high$value / low$value), high$influence / high$value - low$influence / low$value),
                margins = c(low$value, high$value))
  if (!is.null(change$slope)) {
    D <- change$slope(X)
    eta <- as.vector(X %*% coef(m)); p <- plogis(eta); rise <- as.vector(D %*% coef(m))
    each <- p * (1 - p) * rise
    value <- sum(w * each) / sum(w)
    # The derivative of each person's slope by numbers, not by the formula.
    gradient <- sapply(seq_along(coef(m)), function(j) {
      moved <- function(h) { b <- coef(m); b[j] <- b[j] + h; q <- plogis(as.vector(X %*% b)); sum(w * q * (1 - q) * as.vector(D %*% b)) / sum(w) }
      (8 * (moved(1e-3) - moved(-1e-3)) - (moved(2e-3) - moved(-2e-3))) / 12e-3
    })
    found$slope <- of(value, as.vector(of_coefficients %*% gradient) + (each - value) / sum(w))
  }
  found
}
column <- function(name, value) function(X) { X[, name] <- value; X }
adjusted <- logistic(y ~ x1 + x2 + group)
group_to <- function(b, c) function(X) { X[, "groupb"] <- b; X[, "groupc"] <- c; X }
crossed <- logistic(y ~ x1 + x2 + x1:x2)
crossed_to <- function(v) function(X) { X[, "x2"] <- v; X[, "x1:x2"] <- X[, "x1"] * v; X }

# The same differences over replicate weights of the jackknife: near the linearised error, never equal to it.
jackknife <- subset(as.svrepdesign(full, type = "JKn", mse = TRUE), domain == 1)
replicated <- withReplicates(jackknife, function(w, data) {
  m <- suppressWarnings(glm(y ~ x1 + x2 + group, data = data, weights = w / mean(w), family = quasibinomial(),
                            control = strict))
  risk <- function(g) { data$group <- factor(g, c("a", "b", "c")); sum(w * predict(m, data, type = "response")) / sum(w) }
  c(risk("b") - risk("a"), log(risk("c") / risk("a")))
})
predicted <- svypredmeans(logistic(y ~ x1 + x2), ~factor(group))

spline_logistic <- logistic(y ~ c1 + c2 + c3 + x2)
spline_linear <- linear(amount ~ c1 + c2 + c3 + x2)
levels_crossed <- linear(amount ~ group + factor(x2) + group:factor(x2), full)
values <- list(
  knots = knots,
  chi_square_2x3 = chi_square(~y + group),
  chi_square_3x2 = chi_square(~group + x2),
  means_differ = wald(linear(amount ~ factor(group)), ~ factor(group)),
  trend_share = trend(logistic(y ~ place)),
  trend_mean = trend(linear(amount ~ place)),
  spline_logistic = c(at_knots(spline_logistic, 1), list(p = wald(spline_logistic, ~ c1 + c2 + c3)$p,
                                                        p_curve = wald(spline_logistic, ~ c2 + c3)$p)),
  spline_linear = c(at_knots(spline_linear, 1), list(p = wald(spline_linear, ~ c1 + c2 + c3)$p,
                                                    p_curve = wald(spline_linear, ~ c2 + c3)$p)),
  interaction_numbers = c(of_fit(crossed), list(p_interaction = wald(crossed, ~x1:x2)$p)),
  interaction_levels = c(of_fit(levels_crossed),
                         list(p_interaction = wald(levels_crossed, ~group:factor(x2))$p)),
  averages_b = averages(adjusted, part, list(from = group_to(0, 0), to = group_to(1, 0))),
  averages_c = averages(adjusted, part, list(from = group_to(0, 0), to = group_to(0, 1))),
  averages_x1 = averages(adjusted, part, list(from = identity, to = function(X) { X[, "x1"] <- X[, "x1"] + 1; X },
                                              slope = function(X) { X[] <- 0; X[, "x1"] <- 1; X })),
  averages_crossed = averages(crossed, part, list(from = crossed_to(0), to = crossed_to(1))),
  averages_crossed_x1 = averages(crossed, part, list(
    from = identity, to = function(X) { X[, "x1"] <- X[, "x1"] + 1; X[, "x1:x2"] <- X[, "x1"] * X[, "x2"]; X },
    slope = function(X) { D <- X; D[] <- 0; D[, "x1"] <- 1; D[, "x1:x2"] <- X[, "x2"]; D })),
  predicted_margins = list(group = names(coef(predicted)), estimate = unname(coef(predicted))),
  jackknife_b_difference_c_ratio = list(estimate = as.vector(coef(replicated)), se = as.vector(SE(replicated)))
)
write_json(
  list(
    program = "R survey", version = as.character(packageVersion("survey")), r_version = R.version.string,
    call = "Rscript tests/golden/regressions.R tests/golden", date = format(Sys.Date()), values = values
  ),
  file.path(folder, "regressions.json"), digits = I(17), auto_unbox = TRUE, pretty = TRUE, matrix = "rowmajor"
)

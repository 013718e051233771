"""Why a person got this risk: exact Shapley values of the reported margin, summaries and stability."""

"""Why a file is slow or wrong, and whether an installation is whole: findings, their evidence, and what mends them."""

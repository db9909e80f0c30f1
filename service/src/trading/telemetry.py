"""Structured logs."""

from aws_lambda_powertools import Logger

logger = Logger()

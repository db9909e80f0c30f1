"""Judges what the platform asks of AWS, before AWS does.

The judges know what AWS is known to refuse: by its service models, by the registry of
CloudFormation's resources, by the service authorization reference, and by the rule book. A
certificate lists what was judged. It never says that AWS accepts something.
"""
